import { Card } from "../parts/page.tsx";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { isRunning, type Subscription } from "./read-access.ts";
import { SeePlans } from "./see-plans.tsx";
import { portalOf } from "./stripe-pages.ts";

/** What is paused or unpaid is not renewed. */
const RENEWING = ["trialing", "active", "past_due"];

/** The plan, its period, and the three ways to change it at Stripe, which shows what each costs. */
export function PlanCard({ team, subscription }: { team: Team; subscription: Subscription }) {
  const { words, mails, money, date, period } = useWords();
  const { id, product, price, quantity, status, periodStart, periodEnd, cancelAt, endedAt } = subscription;
  const labels = mails.common.labels;
  const amount =
    price &&
    mails.common.price({
      amount: money(price.amount * quantity, price.currency),
      interval: price.interval as "month",
      count: price.count,
    });
  return (
    <Card title={words.billing.plan}>
      <dl>
        <div>
          <dt>{labels.plan}</dt>
          <dd>
            {product}
            {quantity > 1 && ` × ${quantity}`}
          </dd>
        </div>
        {amount && (
          <div>
            <dt>{labels.price}</dt>
            <dd>{amount}</dd>
          </div>
        )}
        <div>
          <dt>{words.billing.status}</dt>
          <dd>{words.billing.statuses[status] ?? status}</dd>
        </div>
        {isRunning(subscription) && periodStart && periodEnd && (
          <div>
            <dt>{words.billing.period}</dt>
            <dd>{period(periodStart, periodEnd)}</dd>
          </div>
        )}
        {isRunning(subscription) && cancelAt && (
          <div>
            <dt>{labels.endsOn}</dt>
            <dd>{date(cancelAt)}</dd>
          </div>
        )}
        {RENEWING.includes(status) && !cancelAt && periodEnd && (
          <div>
            <dt>{labels.renewsOn}</dt>
            <dd>{date(periodEnd)}</dd>
          </div>
        )}
        {endedAt && (
          <div>
            <dt>{labels.endedOn}</dt>
            <dd>{date(endedAt)}</dd>
          </div>
        )}
      </dl>
      {team.canManage && isRunning(subscription) && (
        <p className="actions">
          {cancelAt ? (
            <LeaveButton
              isPrimary
              label={mails.subscriptionCanceled.action.at_period_end}
              to={() => portalOf(team)}
            />
          ) : (
            <>
              <LeaveButton
                label={words.billing.change}
                to={() => portalOf(team, "subscription_update", id)}
              />
              <LeaveButton
                label={words.billing.cancel}
                to={() => portalOf(team, "subscription_cancel", id)}
              />
            </>
          )}
        </p>
      )}
      {!isRunning(subscription) && <SeePlans isPrimary />}
    </Card>
  );
}
