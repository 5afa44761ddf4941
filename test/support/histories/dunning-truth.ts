import type { Invoice, PaymentIntent, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import type { Account } from "./account.ts";
import type { State } from "./state.ts";
import { time } from "./truth.ts";

/** How much later than a subscription's end its final invoice may be created by Stripe's clock (seconds). */
const FINAL_BILL = 5;

interface Debt {
  invoice: string;
  /** What a case is about: the subscription, or the invoice where there is no subscription or it has ended. */
  subject: string;
  /** Unix seconds; undefined for what is not overdue. */
  since: number | undefined;
}

/**
 * Cases that are open and should not be, or the other way round, a line each. A debt is an open invoice whose first
 * attempt has failed, whatever told that, or whose due date is past. No debts are: invoices of a subscription that never
 * began or is over (except its final invoice), of an update that waits for its payment, or of a deleted customer.
 *
 * @param ranAt when the history was delivered (Unix seconds): what falls due around then or later may or may not have a case
 */
export function caseUntruths(
  account: Account,
  state: State | undefined,
  hasAsked: (ids: string[]) => boolean,
  ranAt: number,
): string[] {
  const shown = new Set(
    (state?.get("open_dunning_cases") ?? []).flatMap((text) => {
      const { subject_id: subject, invoices } = JSON.parse(text) as {
        subject_id: string;
        invoices: string[] | null;
      };
      return (invoices ?? ["nothing"]).map((invoice) => `${invoice} of ${subject}`);
    }),
  );
  const lines: string[] = [];
  for (const [id, object] of account.objects) {
    if (object.object !== "invoice") continue;
    const bill = object as unknown as Invoice;
    const { invoice, subject, since } = debtOf(account, bill);
    const line = `${invoice} of ${subject}`;
    const isShown = shown.delete(line);
    const subscription = bill.parent?.subscription_details?.subscription;
    const payments = paymentsOf(account, id).map((payment) => payment.id);
    const named = [id, String(bill.customer), ...payments, ...(subscription ? [String(subscription)] : [])];
    const isPending = since !== undefined && since > ranAt - 3600;
    if (hasAsked(named) || isPending) continue;
    if (isShown !== (since !== undefined))
      lines.push(`dunning case of ${line} should ${isShown ? "not " : ""}be open`);
  }
  return [...lines, ...[...shown].map((line) => `dunning case of ${line} should not be open`)];
}

function debtOf(account: Account, bill: Invoice): Debt {
  const id = bill.id ?? "";
  const named = bill.parent?.subscription_details?.subscription;
  const billed = named ? account.get<Subscription>(String(named)) : undefined;
  const isFinal = billed?.status === "canceled" && bill.created >= (billed.ended_at ?? Infinity) - FINAL_BILL;
  const subject = billed && !isFinal ? billed.id : id;
  const isOver =
    billed && !isFinal && ["canceled", "incomplete", "incomplete_expired"].includes(billed.status);
  const isOfWaitingUpdate = billed?.pending_update != null && billed.latest_invoice === id;
  const isOfDeclinedUpdate =
    bill.billing_reason === "subscription_update" &&
    ["active", "trialing", "incomplete", "incomplete_expired"].includes(billed?.status ?? "");
  const isDebt =
    bill.status === "open" &&
    bill.amount_remaining > 0 &&
    ![id, String(bill.customer)].some((one) => account.deletedAt.has(one)) &&
    !isOver &&
    !isOfWaitingUpdate &&
    !isOfDeclinedUpdate;
  return { invoice: id, subject, since: isDebt ? overdueSince(account, bill) : undefined };
}

/** Whether an invoice is an overdue debt of its subscription; undefined where that depends on the time of the run. */
export function isOverdueAt(account: Account, bill: Invoice, at: number): boolean | undefined {
  const { subject, since } = debtOf(account, bill);
  if (since === undefined || subject === bill.id) return false;
  return since > at - 3600 ? undefined : true;
}

function overdueSince(account: Account, bill: Invoice): number | undefined {
  if (bill.collection_method === "send_invoice") return bill.due_date ?? undefined;
  const failed = account.firstTold.get(`invoice.payment_failed ${bill.id}`);
  const isTriedAgain = bill.next_payment_attempt !== null || hasFailedWithoutEvent(account, bill);
  return (
    failed ??
    (bill.attempt_count > 0 && isTriedAgain ? (bill.status_transitions.finalized_at ?? undefined) : undefined)
  );
}

/** Whether the subscription or a payment tells that the last attempt failed, without invoice.payment_failed. */
function hasFailedWithoutEvent(account: Account, bill: Invoice): boolean {
  const payments = paymentsOf(account, bill.id ?? "");
  if (payments.some(({ status }) => status === "processing")) return false;
  const named = bill.parent?.subscription_details?.subscription;
  const billed = named ? account.get<Subscription>(String(named)) : undefined;
  const cause = billed?.status === "paused" ? billed.status_details?.paused?.subscription?.type : undefined;
  return (
    ["past_due", "unpaid"].includes(billed?.status ?? "") ||
    ["first_payment_failure", "final_payment_failure"].includes(cause ?? "") ||
    payments.some(
      ({ status, last_payment_error }) =>
        status === "requires_action" || (status === "requires_payment_method" && last_payment_error !== null),
    )
  );
}

/** PaymentIntents that pay an invoice by some event. */
function paymentsOf(account: Account, invoice: string): PaymentIntent[] {
  return [...account.objects.values()]
    .filter(
      ({ object, id }) => object === "payment_intent" && account.toldInvoiceOf.get(id ?? "") === invoice,
    )
    .map((object) => object as unknown as PaymentIntent);
}

/**
 * Given cards that are stored and were not given, or the other way round, a line each. Cards that were read from Stripe
 * are not checked: what a read tells depends on what was known before.
 */
export function givenCardUntruths(account: Account, state: State | undefined): string[] {
  const lineOf = (object: string, method: string, isRenewal: boolean) =>
    `${object} ${method}${isRenewal ? " renewed" : ""}`;
  const given = new Map<string, number>();
  for (const { object, method, isRenewal, at } of account.givenCards)
    if (!account.readAt.has(object)) given.set(lineOf(object, method, isRenewal), at);
  const expected = [...given].map(([line, at]) => `${line} ${time(at)}`);
  const newest = new Map<string, string>();
  for (const text of state?.get("given_cards") ?? []) {
    const { object_id, payment_method, renewal, given_at } = JSON.parse(text) as Record<string, string>;
    if (account.readAt.has(object_id ?? "")) continue;
    const line = lineOf(object_id ?? "", payment_method ?? "", renewal !== "");
    newest.set(line, [newest.get(line) ?? "", given_at ?? ""].sort().at(-1) ?? "");
  }
  const shown = [...newest].map(([line, at]) => `${line} ${at}`);
  return [
    ...expected.filter((line) => !shown.includes(line)).map((line) => `given card ${line} is missing`),
    ...shown
      .filter((line) => !expected.includes(line))
      .map((line) => `given card ${line} should not be there`),
  ];
}
