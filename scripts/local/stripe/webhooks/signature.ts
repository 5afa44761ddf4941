import { createHmac } from "node:crypto";

/**
 * The `Stripe-Signature` header: HMAC-SHA256 over time and body (https://docs.stripe.com/webhooks/signature).
 * @param at real time in seconds; Stripe signs anew for every attempt
 */
export function signatureHeader(payload: string, secret: string, at: number): string {
  const digest = createHmac("sha256", secret).update(`${at}.${payload}`).digest("hex");
  return `t=${at},v1=${digest}`;
}
