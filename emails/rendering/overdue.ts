import type { OverdueInvoice, PaymentFailedProps } from "../contract.ts";
import type { Deadline, Owed } from "../languages/en.ts";
import { sumOf } from "./format.ts";
import { type Addressed, speak } from "./voice.ts";

/** One overdue invoice with what happens if it stays unpaid. */
export interface Debt {
  invoice: OverdueInvoice;
  deadline: Deadline | undefined;
  /** Its subscription ends anyway, as its customer wanted. */
  leaving: boolean;
}

/** The invoices of a failure email, each with its own consequence. */
export function debts(props: Addressed<PaymentFailedProps>): Debt[] {
  return props.invoices.map((invoice) => {
    const { endsAt, action, setToEndAt, leaving } = invoice.terms ?? {
      endsAt: props.accessEndsAt,
      action: props.endAction,
      setToEndAt: props.setToEndAt,
      leaving: props.leaving,
    };
    const deadline = leaving || !endsAt ? undefined : deadlineAt(endsAt, props, setToEndAt, action);
    return { invoice, deadline, leaving };
  });
}

function deadlineAt(
  at: string,
  props: Addressed<PaymentFailedProps>,
  setToEndAt: string | null | undefined,
  action: "cancel" | "pause" | null | undefined,
): Deadline {
  const { date, utcDay } = speak(props);
  return {
    payBy: utcDay(at, 1),
    endsOn: utcDay(at),
    days: props.daysLeft ?? undefined,
    setToEndOn: setToEndAt ? date(setToEndAt) : undefined,
    action: action ?? "cancel",
  };
}

/** How many subscriptions some debts are of. One that names none is one by itself. */
export function subscriptionsOf(these: readonly Debt[]): number {
  const named = new Set(these.flatMap(({ invoice }) => invoice.subscription ?? []));
  return named.size + these.filter(({ invoice }) => !invoice.subscription).length;
}

/** What the sentences of the three failure emails are made of. */
export function owed(props: Addressed<PaymentFailedProps>): Owed {
  const { money, product } = speak(props);
  const all = debts(props);
  const [first, ...others] = props.invoices;
  const single = first?.collectionMethod === "send_invoice" ? "invoice" : "payment";
  const atStake = all.filter(({ deadline }) => deadline !== undefined);
  // The one whose day comes first, as the email as a whole has it.
  const earliest =
    !props.leaving && props.accessEndsAt
      ? (atStake.find(
          ({ invoice }) => (invoice.terms?.endsAt ?? props.accessEndsAt) === props.accessEndsAt,
        ) ?? atStake[0])
      : atStake[0];
  return {
    kind: others.length > 0 ? "several" : single,
    amount: money(props.totalDue ?? sumOf(props.invoices.map(({ amountDue }) => amountDue)), props.currency),
    product: product((earliest?.invoice ?? first)?.productName),
    app: props.brand.appName,
    // Those that are not listed may end before.
    deadline:
      !props.leaving && props.accessEndsAt
        ? deadlineAt(props.accessEndsAt, props, props.setToEndAt, props.endAction)
        : earliest?.deadline,
    subscriptions: Math.max(subscriptionsOf(atStake), 1),
    ownDates: new Set(all.map(consequence)).size > 1,
  };
}

const consequence = ({ deadline }: Debt) =>
  deadline === undefined ? "" : [deadline.endsOn, deadline.action, deadline.setToEndOn].join();

/** Invoices that are listed; of the rest the email says how many there are. */
const invoicesShown = 20;

/** The invoices to list, the oldest, and how many more there are. */
export function listed({ invoices, invoiceCount }: PaymentFailedProps): {
  invoices: OverdueInvoice[];
  more: number;
} {
  const shown = invoices.slice(0, invoicesShown);
  return { invoices: shown, more: Math.max(invoices.length, invoiceCount ?? 0) - shown.length };
}

/**
 * What the bank said, where saying it helps. Stripe asks not to tell customers of the other codes: a lost,
 * stolen or blocked card looks to them like any declined one (https://docs.stripe.com/declines/codes).
 */
export function explainDecline(props: Addressed<PaymentFailedProps>): string | undefined {
  // With several invoices it would not be clear which one the bank declined.
  if (owed(props).kind !== "payment") return undefined;
  const { declines } = speak(props).words.paymentFailed;
  switch (props.declineCode) {
    case "expired_card":
      return declines.expired;
    case "insufficient_funds":
      return declines.funds;
    case "card_velocity_exceeded":
    case "withdrawal_count_limit_exceeded":
      return declines.limit;
    case "incorrect_number":
    case "invalid_number":
    case "incorrect_cvc":
    case "invalid_cvc":
    case "incorrect_zip":
    case "invalid_expiry_month":
    case "invalid_expiry_year":
      return declines.details;
    case "authentication_required":
      return declines.authentication;
    case "processing_error":
    case "try_again_later":
    case "issuer_not_available":
    case "reenter_transaction":
      return declines.temporary;
    default:
      return undefined;
  }
}
