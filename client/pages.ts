import type { SupabaseClient } from "@supabase/supabase-js";

/** A single task in Stripe's portal; without one, all of it is shown. */
export type PortalFlow = "payment_method_update" | "subscription_cancel" | "subscription_update";

/**
 * Why no page at Stripe was opened.
 *
 * `code` is what duebase-checkout or duebase-portal answered (`already_subscribed`, `not_a_manager`, `no_customer`,
 * `stripe_unavailable`, …), or `unreachable` where no answer came. Nothing was bought or changed.
 */
export class BillingRequestError extends Error {
  readonly code: string;
  /** Of the answer; 0 without one. */
  readonly status: number;
  /** When to try again; undefined where that would not help, or nothing was said. */
  readonly retryAfterSeconds: number | undefined;
  /** With `owner_required`: which owners the user manages. */
  readonly owners: string[];

  constructor(
    code: string,
    message: string,
    status: number,
    retryAfterSeconds?: number,
    owners: string[] = [],
  ) {
    super(message);
    this.name = "BillingRequestError";
    this.code = code;
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.owners = owners;
  }

  /** Whether the same may work a little later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * The address of Stripe's checkout page for one price.
 *
 * @param wish `price`, and where to come back to: paths of the application, or addresses of its own. `quantity` is 1 where
 * absent, the owner the only one that the user manages.
 * @throws BillingRequestError
 */
export function openCheckout(
  supabase: SupabaseClient,
  wish: {
    price: string;
    successUrl: string;
    cancelUrl: string;
    ownerId?: string;
    quantity?: number;
    another?: boolean;
    idempotencyKey?: string;
  },
): Promise<string> {
  return urlFrom(supabase, "duebase-checkout", {
    price: wish.price,
    success_url: wish.successUrl,
    cancel_url: wish.cancelUrl,
    owner_id: wish.ownerId,
    quantity: wish.quantity,
    another: wish.another,
    idempotency_key: wish.idempotencyKey,
  });
}

/**
 * The address of a page in Stripe's customer portal.
 *
 * @param wish `subscription` is needed by the two flows about one
 * @throws BillingRequestError
 */
export function openPortal(
  supabase: SupabaseClient,
  wish: { ownerId?: string; returnUrl?: string; flow?: PortalFlow; subscription?: string } = {},
): Promise<string> {
  return urlFrom(supabase, "duebase-portal", {
    owner_id: wish.ownerId,
    return_url: wish.returnUrl,
    flow: wish.flow,
    subscription: wish.subscription,
  });
}

async function urlFrom(supabase: SupabaseClient, name: string, body: object): Promise<string> {
  const { data, error } = await supabase.functions.invoke<{ url?: unknown }>(name, { body });
  if (error) throw await refusalOf(error);
  if (typeof data?.url !== "string") throw new BillingRequestError("no_url", `${name} gave no address.`, 200);
  return data.url;
}

/** supabase-js hands over the answer unread, and for a connection that failed whatever the browser threw. */
async function refusalOf(error: { context?: unknown }): Promise<BillingRequestError> {
  const { context } = error;
  if (!(context instanceof Response))
    return new BillingRequestError("unreachable", "The function could not be reached.", 0);
  const said: unknown = await context.json().catch(() => undefined);
  const { code, message, owners } = errorIn(said);
  const retryAfter = Number(context.headers.get("retry-after") ?? Number.NaN);
  return new BillingRequestError(
    typeof code === "string" ? code : "unreachable",
    typeof message === "string" ? message : `The function answered ${context.status}.`,
    context.status,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
    Array.isArray(owners) ? owners.filter((it) => typeof it === "string") : [],
  );
}

function errorIn(said: unknown): Record<string, unknown> {
  if (typeof said !== "object" || said === null || !("error" in said)) return {};
  return typeof said.error === "object" && said.error !== null ? { ...said.error } : {};
}
