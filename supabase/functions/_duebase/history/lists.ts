import { StripeCallError } from "../errors.ts";
import type { Page, StripeObject, StripeReader } from "./reader.ts";

/** A list at Stripe, and how it is read. */
export type ListStep = {
  step: string;
  path: string;
  params?: Record<string, string>;
  /** What is read with each object, in place of its id. */
  expand?: string[];
  /** Left out where it was made before the horizon. */
  hasHorizon?: boolean;
};

/** The most that Stripe gives at once. */
export const PAGE_SIZE = 100;

/**
 * Everything that a backfill lists, in the order in which it is applied: what is named before what names it. Payment methods
 * come with whatever they are the default of.
 */
export const BACKFILL_LISTS: readonly ListStep[] = [
  { step: "products", path: "/v1/products" },
  { step: "prices", path: "/v1/prices", expand: ["data.tiers", "data.currency_options"] },
  {
    step: "customers",
    path: "/v1/customers",
    expand: ["data.invoice_settings.default_payment_method"],
  },
  {
    step: "subscriptions",
    path: "/v1/subscriptions",
    params: { status: "all" },
    expand: ["data.default_payment_method"],
  },
  { step: "open_invoices", path: "/v1/invoices", params: { status: "open" } },
  { step: "invoices", path: "/v1/invoices", hasHorizon: true },
  { step: "invoice_payments", path: "/v1/invoice_payments", hasHorizon: true },
  { step: "payment_intents", path: "/v1/payment_intents", hasHorizon: true },
  { step: "charges", path: "/v1/charges", hasHorizon: true },
  { step: "refunds", path: "/v1/refunds", hasHorizon: true },
  { step: "disputes", path: "/v1/disputes", hasHorizon: true },
  { step: "checkout_sessions", path: "/v1/checkout/sessions", hasHorizon: true },
];

/** Steps that are more than a list, by the list they come after. */
export const STEP_AFTER: Readonly<Record<string, string>> = {
  subscriptions: "entitlements",
  open_invoices: "other_customers",
};

/** All steps of a backfill, in order. */
export const BACKFILL_STEPS: readonly string[] = [
  ...BACKFILL_LISTS.flatMap(({ step }) => [step, STEP_AFTER[step] ?? []].flat()),
  "events",
];

/** Parameters that ask for what is read with each object. */
export function expansions(fields: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(fields.map((field, index) => [`expand[${index}]`, field]));
}

/** Where a list goes on: after an object, and for the case that it is deleted meanwhile, when that was made. */
type Cursor = { id: string; created?: number };

/** The cursor that `cursorAfter` wrote; undefined at the beginning of a list. */
export function readCursor(text: string | null): Cursor | undefined {
  if (text === null) return undefined;
  const [id = "", created] = text.split("@");
  return created === undefined ? { id } : { id, created: Number(created) };
}

/** The cursor of a list that goes on after an object, as `billing.history_steps` keeps it. */
export function cursorAfter(object: StripeObject): string {
  return typeof object.created === "number" ? `${object.id}@${object.created}` : object.id;
}

/**
 * The page of a list that comes after a cursor.
 *
 * @param since seconds since the epoch; older objects are left out
 */
export async function readListPage(
  reader: StripeReader,
  list: ListStep,
  cursor: string | null,
  since?: number,
): Promise<Page> {
  const after = readCursor(cursor);
  const params: Record<string, string> = {
    ...list.params,
    limit: String(PAGE_SIZE),
    ...expansions(list.expand),
  };
  if (list.hasHorizon && since !== undefined) params["created[gte]"] = String(since);
  try {
    return await reader.page(list.path, after ? { ...params, starting_after: after.id } : params);
  } catch (error) {
    const isGone = error instanceof StripeCallError && error.code === "resource_missing";
    if (!isGone || after?.created === undefined) throw error;
    // The object was deleted after its page was read. What was made in its second is read once more.
    return await reader.page(list.path, { ...params, "created[lte]": String(after.created) });
  }
}

/** What was read in place of an id, as an object of its own before the one that names it. */
export function unfold(object: StripeObject): StripeObject[] {
  if (object.object === "customer") {
    const settings = object.invoice_settings as { default_payment_method?: unknown } | undefined;
    const method = settings?.default_payment_method;
    if (!isObject(method)) return [object];
    return [method, { ...object, invoice_settings: { ...settings, default_payment_method: method.id } }];
  }
  const method = object.default_payment_method;
  if (object.object !== "subscription" || !isObject(method)) return [object];
  return [method, { ...object, default_payment_method: method.id }];
}

function isObject(value: unknown): value is StripeObject {
  return typeof value === "object" && value !== null && "id" in value && "object" in value;
}

/** A subscription carries its first items only: reads the rest. */
export async function completeItems(reader: StripeReader, subscription: StripeObject): Promise<void> {
  const items = subscription.items as { data: { id: string }[]; has_more?: boolean } | undefined;
  while (items?.has_more) {
    const page = await reader.page("/v1/subscription_items", {
      subscription: subscription.id,
      limit: String(PAGE_SIZE),
      starting_after: items.data.at(-1)?.id ?? "",
    });
    items.data.push(...page.data);
    items.has_more = page.hasMore;
  }
}
