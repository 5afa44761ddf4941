import { createHmac } from "node:crypto";

/**
 * HMAC-SHA256 over parts joined by dots, as webhooks are signed.
 *
 * @param signed what the receiver puts together again: the time in seconds and the body, and an id where there is one
 */
export function signatureOf(
  key: string | Buffer,
  signed: (string | number)[],
  encoding: "hex" | "base64",
): string {
  return createHmac("sha256", key).update(signed.join(".")).digest(encoding);
}
