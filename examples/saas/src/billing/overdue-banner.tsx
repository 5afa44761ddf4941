import { severityOf } from "../../../../client/index.ts";
import { APP_NAME } from "../app-name.ts";
import { Link } from "../router.tsx";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import type { Overdue } from "./read-access.ts";
import { UpdateMethodButton } from "./update-method-button.tsx";

const DAY_MS = 86_400_000;

/** What is overdue, on every page: with amount, reason and button for who manages the team, in other words for members. */
export function OverdueBanner({ team, overdue }: { team: Team; overdue: Overdue[] }) {
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

function MemberText({ status }: { status: Overdue }) {
  const { words, date } = useWords();
  const product = status.product_name ?? APP_NAME;
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
function ManagerText({ status }: { status: Overdue }) {
  const { mails, money, date } = useWords();
  const now = new Date();
  const severity = severityOf(status, now);
  const owed = {
    kind: status.isSent ? ("invoice" as const) : ("payment" as const),
    amount: money(status.amount_due ?? 0, status.currency ?? "usd"),
    product: status.product_name ?? APP_NAME,
    app: APP_NAME,
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
  const { notice, urgent, final, nextAttempt, continues } = mails.paymentFailed;
  const said = {
    notice: { title: notice.title(owed.kind), of: notice },
    reminder: { title: urgent.title(owed.amount), of: urgent },
    final: { title: final.title({ ...owed, deadline }), of: final },
  }[severity];
  const untilWhen = deadline && said.of.deadline({ ...owed, deadline });
  if (status.needs_confirmation) {
    const { title, body } = mails.paymentActionRequired;
    return (
      <>
        <p className="strong">{title}</p>
        <p>
          {body(owed)} {untilWhen}
        </p>
      </>
    );
  }
  return (
    <>
      <p className="strong">{said.title}</p>
      <p>
        {said.of.body(owed)} {untilWhen} {severity !== "final" && status.has_access && continues}{" "}
        {status.next_payment_attempt && nextAttempt(date(status.next_payment_attempt))}
      </p>
    </>
  );
}

/** More seats than could be charged: no debt, and nothing ends. */
function SeatsText({ status }: { status: Overdue }) {
  const { words } = useWords();
  return <p>{words.overdue.seats(status.seats ?? 0, status.seats_paid ?? 0)}</p>;
}

/** Stripe has a page for each invoice and none for several: those are on the billing page, with a link each. */
function PayButtons({ team, status }: { team: Team; status: Overdue }) {
  const { mails, money } = useWords();
  const { hosted_invoice_url: invoice, invoice_count, amount_due, currency, needs_confirmation } = status;
  const { pay, review } = mails.paymentFailed;
  const isOne = (invoice_count ?? 1) === 1;
  return (
    <p className="actions">
      {!isOne && (
        <Link to="/billing" className="button primary">
          {review}
        </Link>
      )}
      {isOne && invoice && (
        <a className="button primary" href={invoice}>
          {needs_confirmation
            ? mails.paymentActionRequired.action
            : amount_due !== null && currency !== null
              ? pay(money(amount_due, currency))
              : review}
        </a>
      )}
      <UpdateMethodButton team={team} />
    </p>
  );
}
