import { ConfigurationError, SignatureError } from "./errors.ts";
import { createSignatureCheck } from "./signature.ts";

/** Resolves when the header signs exactly these bytes; otherwise rejects with a SignatureError. */
export type VerifySignature = (header: string | null, body: Uint8Array, nowMs: number) => Promise<void>;

export type SignatureHeader = {
  /** Digits as sent: they are part of what was signed. */
  timestamp: string;
  /** Every well-formed v1 signature; there are several while a secret is being rotated at Stripe. */
  signatures: Uint8Array[];
};

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

/**
 * Takes `t=<seconds>,v1=<hex>[,v1=<hex>…]` apart, in any order; other schemes (v0 marks test clocks of
 * Stripe's own) are skipped. Exactly one timestamp, at least one v1 of 64 hexadecimal digits.
 *
 * @throws SignatureError missing or malformed.
 */
export function parseSignatureHeader(header: string | null): SignatureHeader {
  if (header === null || header === "") throw new SignatureError("missing");
  const timestamps: string[] = [];
  const signatures: Uint8Array[] = [];
  for (const item of header.split(",")) {
    const separator = item.indexOf("=");
    const scheme = item.slice(0, separator);
    const value = item.slice(separator + 1);
    if (separator < 0) throw new SignatureError("malformed");
    if (scheme === "t") timestamps.push(value);
    if (scheme === "v1" && /^[0-9a-f]{64}$/.test(value)) signatures.push(bytesOfHex(value));
  }
  const [timestamp] = timestamps;
  // Twelve digits last for 30,000 years and stay far from where numbers lose precision.
  if (timestamp === undefined || timestamps.length > 1 || !/^\d{1,12}$/.test(timestamp)) {
    throw new SignatureError("malformed");
  }
  if (signatures.length === 0) throw new SignatureError("malformed");
  return { timestamp, signatures };
}

/** Takes only digits already checked to be 0-9 and a-f. */
function bytesOfHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (hexDigit(hex, index * 2) << 4) | hexDigit(hex, index * 2 + 1);
  }
  return bytes;
}

function hexDigit(hex: string, index: number): number {
  const code = hex.charCodeAt(index);
  return code < 0x61 ? code - 0x30 : code - 0x61 + 10;
}
