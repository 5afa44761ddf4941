import type { User } from "@supabase/supabase-js";
import { APP_NAME } from "./app-name.ts";
import { BillingPage } from "./billing/billing-page.tsx";
import { CardExpiring } from "./billing/card-expiring.tsx";
import { OverdueBanner } from "./billing/overdue-banner.tsx";
import { PricingPage } from "./billing/pricing-page.tsx";
import type { Access } from "./billing/read-access.ts";
import { useAccess } from "./billing/use-access.ts";
import { WelcomePage } from "./billing/welcome-page.tsx";
import { Loading, WhenReady } from "./parts/states.tsx";
import { ReportsPage } from "./reports/reports-page.tsx";
import { Link, useLocation } from "./router.tsx";
import { SignInPage } from "./session/sign-in-page.tsx";
import { useUser } from "./session/use-user.ts";
import { supabase } from "./supabase.ts";
import { FirstTeamPage } from "./team/first-team-page.tsx";
import { Invitations } from "./team/invitations.tsx";
import { TeamPage } from "./team/team-page.tsx";
import { type Team, type Teams, useTeams } from "./team/use-teams.ts";
import { LanguageChoice } from "./words/language-choice.tsx";
import { useWords } from "./words/words.tsx";

export function App() {
  const user = useUser();
  const { words } = useWords();
  return (
    <>
      <a className="skip" href="#content">
        {words.skip}
      </a>
      {user ? <SignedIn key={user.id} user={user} /> : <SignedOut isKnown={user === null} />}
      <footer>
        <LanguageChoice />
      </footer>
    </>
  );
}

function SignedOut({ isKnown }: { isKnown: boolean }) {
  return <main id="content">{isKnown ? <SignInPage /> : <Loading />}</main>;
}

function SignedIn({ user }: { user: User }) {
  const teams = useTeams(user);
  const { words } = useWords();
  const joined = (id: string) => {
    teams.choose(id);
    teams.reload();
  };
  return (
    <>
      <header>
        <strong className="brand">{APP_NAME}</strong>
        {teams.team && <Navigation />}
        {teams.state === "ready" && teams.data.mine.length > 1 && (
          <label className="team-choice">
            {words.team.choose}
            <select value={teams.team?.id} onChange={(event) => teams.choose(event.target.value)}>
              {teams.data.mine.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <button type="button" className="link" onClick={() => supabase.auth.signOut({ scope: "local" })}>
          {words.signOut}
        </button>
      </header>
      <WhenReady of={teams}>
        {({ invitedTo }) =>
          teams.team ? (
            <InTeam
              key={teams.team.id}
              user={user}
              team={teams.team}
              invitedTo={invitedTo}
              changed={joined}
            />
          ) : (
            <main id="content">
              <FirstTeamPage invitedTo={invitedTo} changed={joined} />
            </main>
          )
        }
      </WhenReady>
    </>
  );
}

interface InTeamProps {
  user: User;
  team: Team;
  invitedTo: Teams["invitedTo"];
  changed: (team: string) => void;
}

function InTeam({ user, team, invitedTo, changed }: InTeamProps) {
  const access = useAccess(team);
  const known = access.state === "ready" ? access.data : undefined;
  return (
    <>
      {/* There before what it says, so that a screen reader says it when it comes. */}
      <div aria-live="polite">
        {known && <OverdueBanner team={team} overdue={known.overdue} />}
        {known && team.canManage && <CardExpiring team={team} access={known} />}
      </div>
      <main id="content">
        <Invitations invitedTo={invitedTo} changed={changed} />
        <WhenReady of={access}>
          {(data) => <Routed user={user} team={team} access={data} changed={() => changed(team.id)} />}
        </WhenReady>
      </main>
    </>
  );
}

interface RoutedProps {
  user: User;
  team: Team;
  access: Access;
  changed: () => void;
}

function Routed({ user, team, access, changed }: RoutedProps) {
  const { path } = useLocation();
  switch (path) {
    case "/pricing":
      return <PricingPage team={team} access={access} />;
    case "/welcome":
      return <WelcomePage team={team} access={access} />;
    case "/billing":
      return <BillingPage team={team} access={access} />;
    case "/team":
      return <TeamPage user={user} team={team} changed={changed} />;
    default:
      return <ReportsPage team={team} access={access} />;
  }
}

function Navigation() {
  const { words } = useWords();
  const { path } = useLocation();
  const here = path === "/" ? "/reports" : path;
  const pages = [
    ["/reports", words.nav.reports],
    ["/pricing", words.nav.pricing],
    ["/billing", words.nav.billing],
    ["/team", words.nav.team],
  ] as const;
  return (
    <nav aria-label={words.nav.label}>
      {pages.map(([to, label]) => (
        <Link key={to} to={to} isCurrent={to === here}>
          {label}
        </Link>
      ))}
    </nav>
  );
}
