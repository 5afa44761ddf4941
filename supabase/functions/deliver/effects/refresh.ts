import type { Effect } from "../../_shared/outbox.ts";
import { type CallStripe, type StripeAnswer, StripeCallError } from "../../_shared/stripe.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";

/** Where each kind of object is read, and what to have expanded. */
const RESOURCES: Record<string, { path: string; expand?: string }> = {
  customer: { path: "customers" },
  product: { path: "products" },
  price: { path: "prices" },
  subscription: { path: "subscriptions" },
  invoice: { path: "invoices", expand: "payments" },
  invoice_payment: { path: "invoice_payments" },
  payment_intent: { path: "payment_intents" },
  charge: { path: "charges" },
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
 * Of these, one that is missing was deleted. The others stay at Stripe for ever, a deleted customer as a stub that says
 * so: where one of them is missing, the key is another account's, and nothing may be concluded.
 */
const DELETABLE = new Set(["product", "price", "invoice"]);

const READS = 3;
const BETWEEN_READS_MS = 1_100;

/** Reads the object an effect names from Stripe and has it applied as the truth of that moment. */
export async function refresh(effect: Effect, run: Run): Promise<Outcome> {
  const { object: kind, id, account } = effect.payload as Record<string, string | undefined>;
  if (kind === undefined || id === undefined || RESOURCES[kind] === undefined) {
    return {
      is: "failed",
      final: true,
      error: { code: "unknown_object", message: `Cannot read ${kind} ${id}.` },
    };
  }
  const read = await readAndApply({ kind, id, account }, run);
  return read.isSettled ? { is: "delivered" } : READ_TOO_SOON;
}

/** Something of the very second of each read is shown: which is later, nobody can tell yet. */
export const READ_TOO_SOON: Outcome = {
  is: "failed",
  retryAfterSeconds: 5,
  error: { code: "read_too_soon", message: "An event of the very second of the read is shown." },
};

/**
 * Reads an object until the database can tell whether the read or what it shows is newer, three times at most.
 * Rejects with a StripeCallError.
 */
export async function readAndApply(
  { kind, id, account }: { kind: string; id: string; account?: string },
  run: Run,
): Promise<{ object: Record<string, unknown>; isSettled: boolean }> {
  const resource = RESOURCES[kind];
  if (resource === undefined) throw new Error(`there is no way to read a ${kind}`);
  for (let read = 1; ; read++) {
    const { object, answeredAt } = await readObject(run.callStripe, { kind, id, account, ...resource });
    await run.reach("object_read");
    const outcome = await run.outbox.applyRefresh(object, momentOfRead(answeredAt));
    await run.reach("object_applied");
    if (outcome !== "undecided") return { object, isSettled: true };
    if (read === READS) return { object, isSettled: false };
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_READS_MS));
  }
}

/**
 * A second before Stripe's answer, by Stripe's clock. An event between the read and the answer is newer than what
 * was read; taken for older it would be lost, while an older event applied once more does no harm.
 */
export function momentOfRead(answeredAt: number | undefined): string {
  return new Date((answeredAt ?? Date.now()) - 1000).toISOString();
}

async function readObject(
  callStripe: CallStripe,
  at: { kind: string; id: string; path: string; expand?: string; account?: string },
): Promise<StripeAnswer> {
  if (at.kind === SUMMARY) return readSummary(callStripe, at);
  try {
    const answer = await callStripe({
      method: "GET",
      path: `/v1/${at.path}/${encodeURIComponent(at.id)}`,
      params: at.expand ? { "expand[]": at.expand } : {},
      account: at.account,
    });
    if (at.kind === "subscription") await completeItems(callStripe, answer.object, at.account);
    return answer;
  } catch (error) {
    if (error instanceof StripeCallError && error.status === 404 && DELETABLE.has(at.kind)) {
      return { object: { id: at.id, object: at.kind, deleted: true }, answeredAt: undefined };
    }
    throw error;
  }
}

/** A subscription carries its first items only; the database would ask for the rest again and again. */
async function completeItems(
  callStripe: CallStripe,
  subscription: Record<string, unknown>,
  account: string | undefined,
): Promise<void> {
  const items = subscription.items as List | undefined;
  while (items?.has_more) {
    const page = { path: "subscription_items", params: { subscription: String(subscription.id) }, account };
    await readPage(callStripe, page, items);
  }
}

/** All a customer is entitled to, as the summary would have it that Stripe sends cut off. */
async function readSummary(
  callStripe: CallStripe,
  { kind, id, path, account }: { kind: string; id: string; path: string; account?: string },
): Promise<StripeAnswer> {
  const customer = id.slice(0, -OF_CUSTOMER.length);
  // Under a test clock the moment of the read is the clock's, which only the customer tells.
  const { object: owner } = await callStripe({
    method: "GET",
    path: `/v1/customers/${encodeURIComponent(customer)}`,
    account,
  });
  const { test_clock, livemode } = owner;
  const entitlements: List = { object: "list", data: [], has_more: owner.deleted !== true };
  const summary = { id, object: kind, customer, livemode, test_clock, entitlements };
  // Whatever changes between the pages comes as an event that is newer than the first one.
  let answeredAt: number | undefined;
  while (entitlements.has_more) {
    const page = await readPage(callStripe, { path, params: { customer }, account }, entitlements);
    answeredAt ??= page.answeredAt;
  }
  return { object: summary, answeredAt };
}

type List = { object?: string; data: { id: string }[]; has_more?: boolean };

/** Reads what comes after the last entry of a list, and adds it. */
async function readPage(
  callStripe: CallStripe,
  { path, params, account }: { path: string; params: Record<string, string>; account?: string },
  list: List,
): Promise<StripeAnswer> {
  const after = list.data.at(-1)?.id;
  const answer = await callStripe({
    method: "GET",
    path: `/v1/${path}`,
    params: { ...params, limit: "100", ...(after ? { starting_after: after } : {}) },
    account,
  });
  list.data.push(...((answer.object.data as List["data"] | undefined) ?? []));
  list.has_more = answer.object.has_more === true;
  return answer;
}
