import type { ReactNode } from "react";
import type { BillingStatus } from "../../../../client/index.ts";
import { Link } from "../router.tsx";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { type Access, isRunning, type Subscription } from "./read-access.ts";
import { SeePlans } from "./see-plans.tsx";
import { portalOf } from "./stripe-pages.ts";

interface WallProps {
  team: Team;
  access: Access;
}

/** In place of a page that the team may not use now: why, and how it opens. The data stays behind it. */
export function Wall({ team, access }: WallProps) {
  const [newest] = access.subscriptions;
  const running = access.subscriptions.find(isRunning);
  if (!newest) return <NoPlan team={team} />;
  if (!running) return <Ended team={team} access={access} subscription={newest} />;
  const debt = access.overdue.find(({ reason }) => reason === "overdue");
  if (running.pausedAt !== undefined || debt)
    return <Paused team={team} subscription={running} debt={debt} />;
  return <OtherPlan />;
}

function NoPlan({ team }: { team: Team }) {
  const { words } = useWords();
  if (!team.canManage) return <WallCard title={words.wall.noPlanTitle} text={words.wall.noPlanMember} />;
  return (
    <WallCard title={words.wall.noPlanTitle} text={words.wall.noPlan}>
      <SeePlans isPrimary />
    </WallCard>
  );
}

function OtherPlan() {
  const { words } = useWords();
  return (
    <WallCard title={words.wall.otherPlan} text={words.wall.data}>
      <SeePlans />
    </WallCard>
  );
}

/** Whoever manages the team reads what the mail said; members are told that it ended, and not for what. */
function Ended({ team, access, subscription }: WallProps & { subscription: Subscription }) {
  const { words, mails, date, money } = useWords();
  const { title, body, action, openInvoice, payOpenInvoice } = mails.subscriptionCanceled;
  const { leftUnpaid } = access;
  const reason = leftUnpaid
    ? "nonpayment"
    : subscription.endReason === "payment_failed"
      ? "payment_failed"
      : "requested";
  if (!team.canManage)
    return <WallCard title={title.nonpayment} text={`${words.wall.member} ${words.wall.data}`} />;
  const ended = body[reason](
    subscription.product,
    date(subscription.endedAt ?? subscription.periodEnd ?? ""),
  );
  const open = leftUnpaid ? openInvoice(money(leftUnpaid.amount, leftUnpaid.currency)) : "";
  return (
    <WallCard title={title[reason]} text={`${ended} ${open} ${words.wall.data}`}>
      <Link to="/pricing" className="button primary">
        {action[reason]}
      </Link>
      {leftUnpaid && (
        <a className="button" href={leftUnpaid.url}>
          {payOpenInvoice}
        </a>
      )}
    </WallCard>
  );
}

/** Paused, or overdue under a policy that takes the access with the first failure: the banner has the pay button. */
function Paused({
  team,
  subscription,
  debt,
}: {
  team: Team;
  subscription: Subscription;
  debt: BillingStatus | undefined;
}) {
  const { words, mails, date } = useWords();
  const { title, body, action } = mails.subscriptionPaused;
  if (!team.canManage) return <WallCard title={title} text={`${words.wall.member} ${words.wall.data}`} />;
  const since = date(subscription.pausedAt || (debt?.overdue_since ?? subscription.periodStart ?? ""));
  return (
    <WallCard
      title={title}
      text={`${body[debt ? "nonpayment" : "other"](subscription.product, since)} ${words.wall.data}`}
    >
      <LeaveButton isPrimary label={action.other} to={() => portalOf(team)} />
    </WallCard>
  );
}

function WallCard({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <section className="card wall" aria-label={title}>
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      <p className="actions">{children}</p>
    </section>
  );
}
