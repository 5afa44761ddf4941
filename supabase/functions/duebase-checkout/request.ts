import { SessionRefusedError } from "../_duebase/errors.ts";
import { type AppAddresses, safeReturnUrl } from "../_duebase/return-url.ts";
import { onlyFields } from "../_duebase/session-endpoint.ts";

/** What a user wants to buy, checked. */
export type CheckoutRequest = {
  price: string;
  quantity: number | undefined;
  mode: "subscription" | "payment" | undefined;
  successUrl: string;
  cancelUrl: string;
  /** Names the attempt: the same again gets the same session. */
  idempotencyKey: string | undefined;
  /** Whether an owner who has a subscription to the product may buy another. */
  another: boolean;
};

const MAX_QUANTITY = 10_000;
const FIELDS = ["price", "quantity", "mode", "success_url", "cancel_url", "idempotency_key", "another"];

/**
 * Reads the body of a request for a checkout.
 *
 * @throws SessionRefusedError invalid_request, invalid_url
 */
export function readCheckoutRequest(body: Record<string, unknown>, addresses: AppAddresses): CheckoutRequest {
  onlyFields(body, FIELDS);
  const { price, quantity, mode, idempotency_key, another = false } = body;
  if (typeof price !== "string" || !/^[\w-]{1,255}$/.test(price))
    throw invalid('"price" is the id of a price.');
  if (quantity !== undefined && !isQuantity(quantity)) {
    throw invalid(`"quantity" is a whole number from 1 to ${MAX_QUANTITY}.`);
  }
  if (mode !== undefined && mode !== "subscription" && mode !== "payment") {
    throw invalid('"mode" is subscription or payment; left out, the price decides.');
  }
  if (idempotency_key !== undefined && !isKey(idempotency_key)) {
    throw invalid('"idempotency_key" is 1 to 100 letters, digits, dashes and underscores.');
  }
  if (typeof another !== "boolean") throw invalid('"another" is true or false.');
  return {
    price,
    quantity,
    mode,
    successUrl: withSessionId(safeReturnUrl(body.success_url, "success_url", addresses)),
    cancelUrl: safeReturnUrl(body.cancel_url, "cancel_url", addresses),
    idempotencyKey: idempotency_key,
    another,
  };
}

function isQuantity(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_QUANTITY;
}

function isKey(value: unknown): value is string {
  return typeof value === "string" && /^[\w-]{1,100}$/.test(value);
}

/** Stripe puts the session's id where its placeholder stands, but not where it stands escaped. */
function withSessionId(url: string): string {
  return url.replaceAll("%7BCHECKOUT_SESSION_ID%7D", "{CHECKOUT_SESSION_ID}");
}

function invalid(message: string): SessionRefusedError {
  return new SessionRefusedError("invalid_request", 400, message);
}
