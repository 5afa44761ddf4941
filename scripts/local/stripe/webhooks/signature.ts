import { signatureOf } from "../../service/signature.ts";

/**
 * The `Stripe-Signature` header: over time and body (https://docs.stripe.com/webhooks/signature).
 * @param at real time in seconds; Stripe signs anew for every attempt
 */
export function signatureHeader(payload: string, secret: string, at: number): string {
  return `t=${at},v1=${signatureOf(secret, [at, payload], "hex")}`;
}
