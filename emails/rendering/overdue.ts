import type { OverdueInvoice, PaymentFailedProps } from "../contract.ts";
import type { Owed } from "../languages/en.ts";
import { sumOf } from "./format.ts";
import { type Addressed, speak } from "./voice.ts";

/** What the sentences of the three failure emails are made of. */
export function owed(props: Addressed<PaymentFailedProps>): Owed {
  const { money, product, date, utcDay } = speak(props);
  const [first, ...others] = props.invoices;
  const single = first?.collectionMethod === "send_invoice" ? "invoice" : "payment";
  const atStake = !props.leaving && props.accessEndsAt;
  return {
    kind: others.length > 0 ? "several" : single,
    amount: money(props.totalDue ?? sumOf(props.invoices.map(({ amountDue }) => amountDue)), props.currency),
    product: product(first?.productName),
    app: props.brand.appName,
    deadline: atStake
      ? {
          payBy: utcDay(atStake, 1),
          endsOn: utcDay(atStake),
          days: props.daysLeft ?? undefined,
          setToEndOn: props.setToEndAt ? date(props.setToEndAt) : undefined,
          action: props.endAction ?? "cancel",
        }
      : undefined,
  };
}

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
  // With several invoices nobody could tell which of them the bank spoke of.
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
