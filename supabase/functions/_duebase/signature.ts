import { SignatureError } from "./errors.ts";

/**
 * How far a signature's timestamp may be from our clock, in seconds, in either direction. Stripe signs
 * anew on each retry, so age here says nothing about the event's own age.
 * https://docs.stripe.com/webhooks/signature
 */
export const SIGNATURE_TOLERANCE_SECONDS = 300;

/** A body and the signatures that came with it. */
export type SignedBody = {
  /** What is signed ahead of the body. */
  prefix: string;
  body: Uint8Array;
  /** Of these one has to match; there are several while a secret is being rotated at the sender. */
  signatures: readonly Uint8Array[];
  /** When it was signed, in seconds since the epoch. */
  timestamp: number;
};

/** Resolves when one of the signatures is genuine and of about `nowMs`; otherwise rejects with a SignatureError. */
export type CheckSignature = (signed: SignedBody, nowMs: number) => Promise<void>;

const HMAC_SHA256 = { name: "HMAC", hash: "SHA-256" } as const;
const encoder = new TextEncoder();

/**
 * A check of HMAC-SHA-256 signatures under any of `secrets`, none of which may be empty. Each is imported as a key
 * once, at the first use, which is what makes it about twice as fast as importing per call.
 *
 * @param toleranceSeconds how far the signature's time may be from ours, either way
 */
export function createSignatureCheck(
  secrets: readonly Uint8Array<ArrayBuffer>[],
  toleranceSeconds: number = SIGNATURE_TOLERANCE_SECONDS,
): CheckSignature {
  let keys: Promise<CryptoKey[]> | undefined;

  return async ({ prefix, body, signatures, timestamp }, nowMs) => {
    const age = Math.floor(nowMs / 1000) - timestamp;
    keys ??= Promise.all(secrets.map(importKey));
    const content = signedContent(prefix, body);
    for (const key of await keys) {
      const expected = new Uint8Array(await crypto.subtle.sign("HMAC", key, content));
      if (!signatures.some((signature) => equalInConstantTime(signature, expected))) continue;
      // Only a genuine signature is told about its age, so that forgeries learn nothing of our clock.
      if (age > toleranceSeconds) throw new SignatureError("too_old");
      if (age < -toleranceSeconds) throw new SignatureError("too_new");
      return;
    }
    throw new SignatureError("mismatch");
  };
}

function importKey(secret: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", secret, HMAC_SHA256, false, ["sign"]);
}

/** In bytes: decoding the body first would change what invalid UTF-8 was signed as. */
function signedContent(prefix: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = encoder.encode(prefix);
  const content = new Uint8Array(start.length + body.length);
  content.set(start);
  content.set(body, start.length);
  return content;
}

/** Takes the same time wherever the first difference is, so that a signature cannot be guessed byte by byte. */
export function equalInConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  if (left.byteLength !== right.byteLength) return false;
  let difference = 0;
  for (let index = 0; index < left.byteLength; index++) {
    difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  }
  return difference === 0;
}

/** A signature header, taken apart. */
export type SignatureHeader = {
  /** Digits as sent: they are part of what was signed. */
  timestamp: string;
  /** Every well-formed v1 signature; there are several while a secret is being rotated at Stripe. */
  signatures: Uint8Array[];
};

/**
 * Takes `t=<seconds>,v1=<hex>[,v1=<hex>…]` apart, in any order, as Stripe writes it and our own calls do; other schemes (v0 marks test
 * clocks of Stripe's own) are skipped. Exactly one timestamp, at least one v1 of 64 hexadecimal digits.
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
