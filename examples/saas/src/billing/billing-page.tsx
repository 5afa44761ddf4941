import { Card, Page } from "../parts/page.tsx";
import { WhenReady } from "../parts/states.tsx";
import type { Team } from "../team/use-teams.ts";
import { useLoaded } from "../use-loaded.ts";
import { useWords } from "../words/words.tsx";
import { CreditsCard } from "./credits-card.tsx";
import { InvoicesCard } from "./invoices-card.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { methodLabel } from "./method-name.ts";
import { PlanCard } from "./plan-card.tsx";
import { type Access, isRunning } from "./read-access.ts";
import { readBooks } from "./read-books.ts";
import { SeePlans } from "./see-plans.tsx";
import { portalOf } from "./stripe-pages.ts";
import { UpdateMethodButton } from "./update-method-button.tsx";
import { UsageCard } from "./usage-card.tsx";

interface BillingPageProps {
  team: Team;
  access: Access;
}

export function BillingPage({ team, access }: BillingPageProps) {
  const { words, mails, month } = useWords();
  const { paymentMethod, subscriptions } = access;
  // Read again with each change of what the team has.
  const books = useLoaded(team.id, () => readBooks(team, subscriptions), access);
  const running = subscriptions.filter(isRunning);
  // Of what is over, the newest says it.
  const shown = running.length > 0 ? running : subscriptions.slice(0, 1);

  return (
    <Page title={words.billing.title}>
      <div className="columns">
        {shown.map((subscription) => (
          <PlanCard key={subscription.id} team={team} subscription={subscription} />
        ))}
        {shown.length === 0 && (
          <Card title={words.billing.plan}>
            <p>{words.billing.noPlan}</p>
            <SeePlans isPrimary />
          </Card>
        )}
        {team.canManage && (
          <Card title={mails.common.labels.paymentMethod}>
            <p>
              {paymentMethod ? methodLabel(mails, paymentMethod) : words.billing.noMethod}
              {paymentMethod?.expires && (
                <span className="muted">
                  {" "}
                  · {mails.common.labels.expires}{" "}
                  {month(paymentMethod.expires.year, paymentMethod.expires.month)}
                </span>
              )}
            </p>
            {access.isCustomer && (
              <p className="actions">
                <UpdateMethodButton team={team} />
                <LeaveButton label={words.billing.portal} to={() => portalOf(team)} />
              </p>
            )}
          </Card>
        )}
      </div>
      <WhenReady of={books}>
        {({ invoices, usage, balance, entries }) => (
          <>
            <UsageCard usage={usage} />
            <CreditsCard balance={balance} entries={entries} canManage={team.canManage} />
            {team.canManage ? (
              <InvoicesCard invoices={invoices} />
            ) : (
              <p className="muted">{words.billing.membersOnly}</p>
            )}
          </>
        )}
      </WhenReady>
    </Page>
  );
}
