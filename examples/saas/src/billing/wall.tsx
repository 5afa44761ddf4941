import type { ReactNode } from "react";
import type { BillingStatus } from "../../../../client/index.ts";
import { Link } from "../router.tsx";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { type Access, isRunning, newestOf, type Subscription } from "./read-access.ts";
import { SeePlans } from "./see-plans.tsx";
import { portalOf } from "./stripe-pages.ts";

interface WallProps {
  team: Team;
  access: Access;
}

/** In place of a page that the team may not use now: why, and how it opens. The data stays behind it. */
export function Wall({ team, access }: WallProps) {
  const running = access.subscriptions.find(isRunning);
  const newest = newestOf(access.subscriptions);
  if (!newest) return <NoPlan team={team} />;
  if (!running && newest.status === "incomplete") return <Incomplete team={team} access={access} />;
  if (!running) return <Ended team={team} access={access} subscription={newest} />;
  const debt = access.overdue.find(
    ({ reason, subscription }) => reason === "overdue" && subscription === running.id,
  );
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

/** Bought, and its first payment not made: Stripe gives it up after 23 hours. */
function Incomplete({ team, access: { leftUnpaid } }: WallProps) {
  const { words } = useWords();
  const { incompleteTitle, incomplete, member, pay } = words.wall;
  if (!team.canManage) return <WallCard title={incompleteTitle} text={member} />;
  return (
    <WallCard title={incompleteTitle} text={incomplete}>
      {leftUnpaid && (
        <a className="button primary" href={leftUnpaid.url}>
          {pay}
        </a>
      )}
      <SeePlans />
    </WallCard>
  );
}

/**
 * Whoever manages the team reads why it ended where Stripe says so, in the words of the mail; members are told that it
 * ended, and not for what.
 */
function Ended({ team, access, subscription }: WallProps & { subscription: Subscription }) {
  const { words, mails, date, money } = useWords();
  const { title, body, action, openInvoice, payOpenInvoice } = mails.subscriptionCanceled;
  const { leftUnpaid } = access;
  if (!team.canManage)
    return <WallCard title={title.nonpayment} text={`${words.wall.member} ${words.wall.data}`} />;
  const { product, endReason } = subscription;
  const at = date(subscription.endedAt ?? subscription.periodEnd ?? "");
  // "cancellation_requested" is whatever was asked for through Stripe's API: by the team, or because it did not pay.
  const ended =
    endReason === "payment_failed" || endReason === "payment_disputed"
      ? body[endReason](product, at)
      : words.wall.ended(product, at);
  const open = leftUnpaid ? openInvoice(money(leftUnpaid.amount, leftUnpaid.currency)) : "";
  return (
    <WallCard title={title.nonpayment} text={`${ended} ${open} ${words.wall.data}`}>
      <Link to="/pricing" className="button primary">
        {action.nonpayment}
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
