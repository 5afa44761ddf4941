import { StripeCallError } from "../../_duebase/errors.ts";
import type { Effect } from "../../_duebase/outbox.ts";
import type { StripeAnswer } from "../../_duebase/stripe.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";

/** Where each kind of object is read, and what to have expanded. */
const RESOURCES: Record<string, { path: string; expand?: string[] }> = {
  customer: { path: "customers" },
  product: { path: "products" },
  price: { path: "prices", expand: ["tiers", "currency_options"] },
  subscription: { path: "subscriptions" },
  invoice: { path: "invoices", expand: ["payments"] },
  invoice_payment: { path: "invoice_payments" },
  payment_intent: { path: "payment_intents" },
  charge: { path: "charges" },
  payment_record: { path: "payment_records" },
  refund: { path: "refunds" },
  dispute: { path: "disputes" },
  payment_method: { path: "payment_methods" },
  "checkout.session": { path: "checkout/sessions" },
  "entitlements.active_entitlement_summary": { path: "entitlements/active_entitlements" },
};

/** A list of Stripe's that has no id; here it goes by its customer's, with this after it. */
const SUMMARY = "entitlements.active_entitlement_summary";
const OF_CUSTOMER = "/entitlements";

/**
 * Of these, one that is missing may have been deleted; of invoices only a draft, which the database knows. The others
 * stay at Stripe for ever, a deleted customer as a stub that says so.
 */
const DELETABLE = new Set(["product", "price", "invoice"]);

const READS = 3;
const BETWEEN_READS_MS = 1_100;

/** Reads the object that an effect names from Stripe and has it applied as of that time. */
export async function refresh(effect: Effect, run: Run): Promise<Outcome> {
  const { object: kind, id } = effect.payload as Record<string, string | undefined>;
  if (kind === undefined || id === undefined || RESOURCES[kind] === undefined) {
    return {
      is: "failed",
      final: true,
      error: { code: "unknown_object", message: `Cannot read ${kind} ${id}.` },
    };
  }
  const read = await readAndApply({ kind, id }, run);
  if (kind === "invoice" && read.object.status === "open") await readOpenPayments(read.object, run);
  return read.isDecided ? { is: "delivered" } : READ_TOO_SOON;
}

/** What is stored is of the same second as each read: which is later cannot be decided yet. */
export const READ_TOO_SOON: Outcome = {
  is: "failed",
  retryAfterSeconds: 5,
  error: { code: "read_too_soon", message: "What is shown is from an event of the same second as the read." },
};

/**
 * Reads an object until the database can tell whether the read or what it shows is newer, three times at most.
 * Rejects with a StripeCallError, or with a DatabaseRefusal where what was read cannot be true.
 */
export async function readAndApply(
  { kind, id }: { kind: string; id: string },
  run: Run,
): Promise<{ object: Record<string, unknown>; isDecided: boolean }> {
  const resource = RESOURCES[kind];
  if (resource === undefined) throw new Error(`there is no way to read a ${kind}`);
  for (let read = 1; ; read++) {
    const { object, asOf } = await readObject(run, { kind, id, ...resource });
    await run.reach("object_read");
    const outcome = await run.outbox.applyRefresh(object, new Date(asOf).toISOString());
    await run.reach("object_applied");
    if (outcome !== "undecided") return { object, isDecided: true };
    if (read === READS) return { object, isDecided: false };
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_READS_MS));
  }
}

/**
 * Reads the payments of an invoice just read that have not come in. One under way, such as a debit that takes days, is a
 * reason to wait that the invoice does not show. Nor does the invoice show that one was declined for good.
 */
export async function readOpenPayments(invoice: Record<string, unknown>, run: Run): Promise<void> {
  const payments = (invoice.payments as { data?: OpenPayment[] } | undefined)?.data ?? [];
  for (const { status, payment } of payments) {
    const id =
      typeof payment?.payment_intent === "string" ? payment.payment_intent : payment?.payment_intent?.id;
    if (status === "open" && id !== undefined) await readAndApply({ kind: "payment_intent", id }, run);
  }
}

type OpenPayment = { status?: string; payment?: { payment_intent?: string | { id: string } } };

async function readObject(
  run: Run,
  at: { kind: string; id: string; path: string; expand?: string[] },
): Promise<StripeAnswer> {
  if (at.kind === SUMMARY) return readSummary(run, at);
  try {
    const answer = await run.callStripe({
      method: "GET",
      path: `/v1/${at.path}/${encodeURIComponent(at.id)}`,
      params: Object.fromEntries((at.expand ?? []).map((field, index) => [`expand[${index}]`, field])),
    });
    if (at.kind === "subscription") await completeItems(run, answer.object);
    return answer;
  } catch (error) {
    if (!(error instanceof StripeCallError) || error.status !== 404 || !DELETABLE.has(at.kind)) throw error;
    return missing(at, error, run);
  }
}

/** What a 404 means for an object that can be deleted: that, if the key is known to be the right one. */
function missing({ kind, id }: { kind: string; id: string }, error: StripeCallError, run: Run): StripeAnswer {
  if (!run.stripe.isProven || error.asOf === undefined) {
    throw new StripeCallError({
      code: "unproven_account",
      message: `Stripe has no ${kind} ${id}, but nothing that it told of shows that DUEBASE_STRIPE_SECRET_KEY is of the right account and mode: it is not taken for deleted.`,
      status: 409,
    });
  }
  return { object: { id, object: kind, deleted: true }, asOf: error.asOf };
}

/** A subscription carries its first items only; the database would ask for the rest again and again. */
async function completeItems(run: Run, subscription: Record<string, unknown>): Promise<void> {
  const items = subscription.items as List | undefined;
  while (items?.has_more) {
    await readPage(
      run,
      { path: "subscription_items", params: { subscription: String(subscription.id) } },
      items,
    );
  }
}

/** All a customer is entitled to, as the summary would have it that Stripe sends cut off. */
async function readSummary(
  run: Run,
  { kind, id, path }: { kind: string; id: string; path: string },
): Promise<StripeAnswer> {
  const customer = id.slice(0, -OF_CUSTOMER.length);
  // Under a test clock the time of the read is the clock's, which only the customer names.
  const { object: owner, asOf } = await run.callStripe({
    method: "GET",
    path: `/v1/customers/${encodeURIComponent(customer)}`,
  });
  const { test_clock, livemode } = owner;
  const entitlements: List = { object: "list", data: [], has_more: owner.deleted !== true };
  const summary = { id, object: kind, customer, livemode, test_clock, entitlements };
  // The whole is as old as its first part: whatever changes between the parts comes as an event that is newer.
  while (entitlements.has_more) await readPage(run, { path, params: { customer } }, entitlements);
  return { object: summary, asOf };
}

type List = { object?: string; data: { id: string }[]; has_more?: boolean };

/** Reads what comes after the last entry of a list, and adds it. */
async function readPage(
  run: Run,
  { path, params }: { path: string; params: Record<string, string> },
  list: List,
): Promise<void> {
  const after = list.data.at(-1)?.id;
  const { object } = await run.callStripe({
    method: "GET",
    path: `/v1/${path}`,
    params: { ...params, limit: "100", ...(after ? { starting_after: after } : {}) },
  });
  list.data.push(...((object.data as List["data"] | undefined) ?? []));
  list.has_more = object.has_more === true;
}
