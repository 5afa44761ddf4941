import { type StripeEvent, stripeEvent } from "../support/stripe/events.ts";
import { invoice } from "../support/stripe/invoices.ts";

/** One event that touches an invoice and the audit trail; its ids carry `tag`. */
export function invoicePaid(tag: string): StripeEvent {
  const created = 1_790_000_000;
  const draft = invoice({ id: `in_${tag}`, created, customer: `cus_${tag}`, amount_due: 2900 });
  return stripeEvent({
    id: `evt_${tag}`,
    type: "invoice.paid",
    created,
    api_version: "2026-10-28.endive",
    object: { ...draft, status: "paid", amount_paid: 2900, amount_remaining: 0 },
  });
}
