import { randomBytes } from "node:crypto";
import { signatureOf } from "../../service/signature.ts";

const prefix = "whsec_";

/** A signing secret as Resend makes them. */
export function newSecret(): string {
  return `${prefix}${randomBytes(24).toString("base64")}`;
}

/**
 * The key inside a signing secret.
 *
 * @throws if it is not `whsec_` and base64: a receiver would refuse everything signed with it
 */
export function keyIn(secret: string): Buffer {
  const encoded = secret.startsWith(prefix) ? secret.slice(prefix.length) : "";
  const key = Buffer.from(encoded, "base64");
  if (key.length === 0 || key.toString("base64") !== encoded) {
    throw new Error("a webhook secret is `whsec_` and base64, as Resend shows it");
  }
  return key;
}

/**
 * The headers of a signed webhook, over id, time and body (https://resend.com/docs/webhooks/verify-webhooks-requests).
 *
 * @param at real time in seconds; every attempt is signed anew, under the same id
 */
export function signedHeaders(id: string, payload: string, key: Buffer, at: number): Record<string, string> {
  const signature = signatureOf(key, [id, at, payload], "base64");
  return { "svix-id": id, "svix-timestamp": String(at), "svix-signature": `v1,${signature}` };
}
