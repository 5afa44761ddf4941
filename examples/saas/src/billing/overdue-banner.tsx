import { type BillingStatus, severityOf } from "../../../../client/index.ts";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { UpdateMethodButton } from "./update-method-button.tsx";

const DAY_MS = 86_400_000;

/** What is overdue, on every page: with amount, reason and button for who manages the team, in other words for members. */
export function OverdueBanner({ team, overdue }: { team: Team; overdue: BillingStatus[] }) {
  const { words } = useWords();
  return overdue.map((status) => (
    <section
      key={`${status.reason} ${status.subscription ?? status.invoice}`}
      className={`banner ${severityOf(status, new Date()) === "final" ? "critical" : "attention"}`}
      aria-label={words.overdue.region}
    >
      {!status.can_manage ? (
        <MemberText status={status} />
      ) : (
        <>
          {status.reason === "overdue" ? <ManagerText status={status} /> : <SeatsText status={status} />}
          <PayButtons team={team} status={status} />
        </>
      )}
    </section>
  ));
}

function MemberText({ status }: { status: BillingStatus }) {
  const { words, date } = useWords();
  const product = status.product_name ?? "";
  const severity = severityOf(status, new Date());
  return (
    <p>
      {severity === "final"
        ? words.overdue.member.final(product, status.ends_at && date(status.ends_at))
        : words.overdue.member[severity](product)}
    </p>
  );
}

/** The sentences of the mail that was sent about it. */
function ManagerText({ status }: { status: BillingStatus }) {
  const { mails, money, date } = useWords();
  const now = new Date();
  const severity = severityOf(status, now);
  const owed = {
    kind: "payment" as const,
    amount: money(status.amount_due ?? 0, status.currency ?? "usd"),
    product: status.product_name ?? "",
    app: "Example Reports",
    subscriptions: 1,
    ownDates: false,
    deadline: undefined,
    method: undefined,
  };
  const deadline =
    status.end_action && status.ends_at && status.last_day_to_pay
      ? {
          payBy: date(status.last_day_to_pay),
          endsOn: date(status.ends_at),
          days: Math.max(0, Math.floor((Date.parse(status.ends_at) - now.getTime()) / DAY_MS)),
          setToEndOn: undefined,
          action: status.end_action === "pause" ? ("pause" as const) : ("cancel" as const),
        }
      : undefined;
  if (status.needs_confirmation) {
    const { title, body } = mails.paymentActionRequired;
    return (
      <>
        <p className="strong">{title}</p>
        <p>{body(owed)}</p>
      </>
    );
  }
  const { notice, urgent, final, nextAttempt, continues } = mails.paymentFailed;
  const said = {
    notice: { title: notice.title("payment"), of: notice },
    reminder: { title: urgent.title(owed.amount), of: urgent },
    final: { title: final.title({ ...owed, deadline }), of: final },
  }[severity];
  return (
    <>
      <p className="strong">{said.title}</p>
      <p>
        {said.of.body(owed)} {deadline && said.of.deadline({ ...owed, deadline })}{" "}
        {severity !== "final" && status.has_access && continues}{" "}
        {status.next_payment_attempt && nextAttempt(date(status.next_payment_attempt))}
      </p>
    </>
  );
}

/** More seats than could be charged: no debt, and nothing ends. */
function SeatsText({ status }: { status: BillingStatus }) {
  const { words } = useWords();
  return <p>{words.overdue.seats(status.seats ?? 0, status.seats_paid ?? 0)}</p>;
}

function PayButtons({ team, status }: { team: Team; status: BillingStatus }) {
  const { mails, money } = useWords();
  const { hosted_invoice_url: invoice, amount_due, currency, needs_confirmation } = status;
  const pay = needs_confirmation
    ? mails.paymentActionRequired.action
    : amount_due !== null && currency !== null
      ? mails.paymentFailed.pay(money(amount_due, currency))
      : mails.paymentFailed.review;
  return (
    <p className="actions">
      {invoice && (
        <a className="button primary" href={invoice}>
          {pay}
        </a>
      )}
      <UpdateMethodButton team={team} />
    </p>
  );
}
