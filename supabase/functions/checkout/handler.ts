import { SessionRefusedError } from "../_shared/errors.ts";
import { createSessionEndpoint, type SessionEndpointDependencies } from "../_shared/session-endpoint.ts";
import type { SignedInUser } from "../_shared/signed-in-user.ts";
import type { CallStripe } from "../_shared/stripe.ts";
import { createStripeSession } from "../_shared/stripe-session.ts";
import { type CheckoutRequest, readCheckoutRequest } from "./request.ts";

/** What `billing.prepare_checkout` answers. */
export type CheckoutFacts = {
  /** The Stripe customer the user is; null: Stripe is to make one. */
  customer: string | null;
  /** Connected account (acct_…) that sells; null: the platform account itself. */
  account: string | null;
  /** Null: not for sale here. */
  price: { type: string | null; usage_type: string | null } | null;
  /** Whether the user has a subscription to this very price. */
  subscribed: boolean;
};

export type CheckoutDependencies = SessionEndpointDependencies & {
  prepare: (userId: string, price: string) => Promise<CheckoutFacts>;
  callStripe: CallStripe;
  /** Milliseconds since the epoch. */
  now: () => number;
};

type Price = NonNullable<CheckoutFacts["price"]>;

/**
 * Sends a signed-in user to Stripe's checkout page for one price.
 *
 * Body: `price`, `success_url` (where `{CHECKOUT_SESSION_ID}` is replaced) and `cancel_url`; optional: `quantity`
 * (1), `mode` (what the price is for), `idempotency_key`, and `another`, without which nobody is sold a second
 * subscription to a price they have one to. Answers `{url}`. The session names the user, so that whatever comes of
 * it is theirs.
 */
export function createCheckoutHandler(
  dependencies: CheckoutDependencies,
): (request: Request) => Promise<Response> {
  const { prepare, callStripe, now } = dependencies;
  return createSessionEndpoint(dependencies, async ({ user, body, addresses }) => {
    const wanted = readCheckoutRequest(body, addresses);
    const { customer, account, price, subscribed } = await prepare(user.id, wanted.price);
    if (price === null) throw new SessionRefusedError("unknown_price", 400, "This price is not for sale.");
    const params = sessionParams(wanted, modeOf(wanted, price), price, user, customer);
    if (subscribed && !wanted.another) {
      const message = "This user has a subscription to this price already.";
      throw new SessionRefusedError("already_subscribed", 409, message);
    }
    const url = await createStripeSession(
      callStripe,
      {
        path: "/v1/checkout/sessions",
        params,
        idempotencyKey: await keyOf(user, wanted, params, now()),
        account: account ?? undefined,
      },
      "Is the price in the customer's currency, and has the account been activated?",
    );
    return { url, customer: customer ?? undefined };
  });
}

function modeOf(wanted: CheckoutRequest, price: Price): "subscription" | "payment" {
  const mode = price.type === "recurring" ? "subscription" : "payment";
  if (wanted.mode === undefined || wanted.mode === mode) return mode;
  throw new SessionRefusedError("invalid_request", 400, `This price is for "mode" ${mode}.`);
}

function sessionParams(
  wanted: CheckoutRequest,
  mode: "subscription" | "payment",
  price: Price,
  user: SignedInUser,
  customer: string | null,
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
    client_reference_id: user.id,
    "metadata[user_id]": user.id,
    [`${made}[metadata][user_id]`]: user.id,
    ...buyer(mode, user, customer),
  };
}

/** A payment without a customer would be a guest's, which belongs to nobody. */
function buyer(
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

/**
 * A button pressed twice gets one session: the same request of the same user in the same minute, or under the same
 * key of the caller's. The user is part of it, so that no key gets anybody another's session.
 */
async function keyOf(
  user: SignedInUser,
  wanted: CheckoutRequest,
  params: Record<string, string>,
  nowMs: number,
): Promise<string> {
  if (wanted.idempotencyKey !== undefined) return `checkout:${user.id}:key:${wanted.idempotencyKey}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(params)));
  const request = [...new Uint8Array(digest.slice(0, 16))].map((byte) => byte.toString(16).padStart(2, "0"));
  return `checkout:${user.id}:${request.join("")}:${Math.floor(nowMs / 60_000)}`;
}
