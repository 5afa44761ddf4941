import type { Effect } from "../../_shared/outbox.ts";
import { type CallStripe, StripeCallError } from "../../_shared/stripe.ts";
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
};

/**
 * Of these, one that is missing was deleted. The others stay at Stripe for ever, a deleted customer as a stub that says
 * so: where one of them is missing, the key is another account's, and nothing may be concluded.
 */
const DELETABLE = new Set(["product", "price", "invoice"]);

const READS = 3;
const BETWEEN_READS_MS = 1_100;

/** Reads an object from Stripe and has it applied as the truth of that moment. */
export async function refresh(effect: Effect, run: Run): Promise<Outcome> {
  const { object: kind, id, account } = effect.payload as Record<string, string | undefined>;
  const resource = kind === undefined ? undefined : RESOURCES[kind];
  if (kind === undefined || id === undefined || resource === undefined) {
    return {
      is: "failed",
      final: true,
      error: { code: "unknown_object", message: `Cannot read ${kind} ${id}.` },
    };
  }
  for (let read = 1; ; read++) {
    const { object, answeredAt } = await readObject(run.callStripe, { kind, id, account, ...resource });
    await run.reach("object_read");
    const outcome = await run.outbox.applyRefresh(object, momentOfRead(answeredAt));
    await run.reach("object_applied");
    if (outcome !== "undecided") return { is: "delivered" };
    if (read === READS) {
      const error = { code: "read_too_soon", message: "An event of the very second of the read is shown." };
      return { is: "failed", retryAfterSeconds: 5, error };
    }
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
): Promise<{ object: Record<string, unknown>; answeredAt: number | undefined }> {
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
  const items = subscription.items as { data: { id: string }[]; has_more?: boolean } | undefined;
  while (items?.has_more) {
    const after = items.data.at(-1)?.id;
    const { object: page } = await callStripe({
      method: "GET",
      path: "/v1/subscription_items",
      params: {
        subscription: String(subscription.id),
        limit: "100",
        ...(after ? { starting_after: after } : {}),
      },
      account,
    });
    items.data.push(...((page.data as { id: string }[] | undefined) ?? []));
    items.has_more = page.has_more === true;
  }
}
