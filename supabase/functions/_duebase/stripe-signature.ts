import { ConfigurationError } from "./errors.ts";
import { createSignatureCheck, parseSignatureHeader } from "./signature.ts";

/** Resolves when the header signs exactly these bytes; otherwise rejects with a SignatureError. */
export type VerifySignature = (header: string | null, body: Uint8Array, nowMs: number) => Promise<void>;

const encoder = new TextEncoder();

/**
 * A verifier of Stripe's signatures that accepts any of `secrets`.
 *
 * @throws ConfigurationError when there is no secret, or one of them is blank: an empty key verifies forgeries.
 */
export function createSignatureVerifier(secrets: readonly string[]): VerifySignature {
  if (secrets.length === 0 || secrets.some((secret) => secret.trim() === "")) {
    throw new ConfigurationError("A webhook secret is blank.");
  }
  const check = createSignatureCheck(secrets.map((secret) => encoder.encode(secret)));

  return async (header, body, nowMs) => {
    const { timestamp, signatures } = parseSignatureHeader(header);
    await check({ prefix: `${timestamp}.`, body, signatures, timestamp: Number(timestamp) }, nowMs);
  };
}
