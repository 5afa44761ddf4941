import { SessionRefusedError } from "../_duebase/errors.ts";
import { createSessionEndpoint, type SessionEndpointDependencies } from "../_duebase/session-endpoint.ts";
import type { SignedInUser } from "../_duebase/signed-in-user.ts";
import { type AttemptDependencies, alreadySubscribed, openCheckout } from "./attempts.ts";
import { type CheckoutRequest, readCheckoutRequest } from "./request.ts";

/** What `billing.prepare_checkout` answers. */
export type CheckoutFacts = {
  /** The Stripe customer the owner is; null: Stripe is to make one. */
  customer: string | null;
  /** Connected account (acct_…) that sells; null: the platform account itself. */
  account: string | null;
  /** Null: not for sale here. */
  price: {
    type: string | null;
    usage_type: string | null;
    product: string | null;
    /** Days of trial that a subscription begins with; null: none. */
    trial_days: number | null;
  } | null;
  /** Whether the owner has a running subscription to this price, or to another of its product. */
  subscribed: boolean;
};

export type CheckoutDependencies = SessionEndpointDependencies &
  AttemptDependencies & {
    prepare: (ownerId: string, price: string) => Promise<CheckoutFacts>;
  };

type Price = NonNullable<CheckoutFacts["price"]>;
type Wanted = Omit<CheckoutRequest, "idempotencyKey">;

/**
 * Sends a signed-in user to Stripe's checkout page for one price, to buy it for an owner they manage.
 *
 * Body: `price`, `success_url` (where `{CHECKOUT_SESSION_ID}` is replaced) and `cancel_url`; optional: `owner_id`,
 * which owner (the only one they manage), `quantity` (1), `mode` (what the price is for), `idempotency_key`, and
 * `another`, without which nobody is sold a second subscription to a product they have one to. Answers `{url}`: of
 * the session that is open already where the same is asked for. The session names the owner, so that whatever comes
 * of it is theirs. A customer that Stripe makes gets the address of the user who buys.
 */
export function createCheckoutHandler(
  dependencies: CheckoutDependencies,
): (request: Request) => Promise<Response> {
  return createSessionEndpoint(dependencies, async ({ user, owner, body, addresses }) => {
    const { idempotencyKey, ...wanted } = readCheckoutRequest(body, addresses);
    const { customer, account, price, subscribed } = await dependencies.prepare(owner, wanted.price);
    if (price === null) throw new SessionRefusedError("unknown_price", 400, "This price is not for sale.");
    const mode = modeOf(wanted, price);
    const request = sessionParams(wanted, mode, price, owner, buyerOf(mode, user, customer));
    if (subscribed && !wanted.another) throw alreadySubscribed();
    const url = await openCheckout(dependencies, {
      ownerId: owner,
      userId: user.id,
      // Two open sessions for one product would be two subscriptions; two one-time purchases are what they are.
      scope:
        mode === "subscription"
          ? `subscription:${price.product ?? wanted.price}`
          : `payment:${await digestOf(request)}`,
      wish: { ...wanted, mode, quantity: wanted.quantity ?? 1 },
      request,
      key: idempotencyKey,
      account: account ?? undefined,
      isOnce: mode === "subscription" && !wanted.another,
    });
    return { url, customer: customer ?? undefined };
  });
}

function modeOf(wanted: Wanted, price: Price): "subscription" | "payment" {
  const mode = price.type === "recurring" ? "subscription" : "payment";
  if (wanted.mode === undefined || wanted.mode === mode) return mode;
  throw new SessionRefusedError("invalid_request", 400, `This price is for "mode" ${mode}.`);
}

function sessionParams(
  wanted: Wanted,
  mode: "subscription" | "payment",
  price: Price,
  owner: string,
  buyer: Record<string, string>,
): Record<string, string> {
  const isMetered = price.usage_type === "metered";
  if (isMetered && wanted.quantity !== undefined) {
    throw new SessionRefusedError("invalid_request", 400, 'A metered price takes no "quantity".');
  }
  const made = mode === "subscription" ? "subscription_data" : "payment_intent_data";
  return {
    mode,
    "line_items[0][price]": wanted.price,
    ...(!isMetered && { "line_items[0][quantity]": String(wanted.quantity ?? 1) }),
    success_url: wanted.successUrl,
    cancel_url: wanted.cancelUrl,
    client_reference_id: owner,
    "metadata[owner_id]": owner,
    [`${made}[metadata][owner_id]`]: owner,
    ...(mode === "subscription" && wanted.another && { [`${made}[metadata][duebase_another]`]: "true" }),
    ...(mode === "subscription" &&
      price.trial_days !== null && { [`${made}[trial_period_days]`]: String(price.trial_days) }),
    ...buyer,
  };
}

/** A payment without a customer would be a guest's, and would have no owner. */
function buyerOf(
  mode: "subscription" | "payment",
  user: SignedInUser,
  customer: string | null,
): Record<string, string> {
  if (customer !== null) return { customer };
  return {
    ...(user.email !== undefined && { customer_email: user.email }),
    ...(mode === "payment" && { customer_creation: "always" }),
  };
}

/** 32 hexadecimal digits that stand for what Stripe is asked for. */
async function digestOf(request: Record<string, string>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(request)));
  return [...new Uint8Array(digest.slice(0, 16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
