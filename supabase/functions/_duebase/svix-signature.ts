import { ConfigurationError, SignatureError } from "./errors.ts";
import { createSignatureCheck } from "./signature.ts";

/** Resolves with the event's id when the headers sign exactly these bytes; otherwise rejects with a SignatureError. */
export type VerifySvixSignature = (headers: Headers, body: Uint8Array, nowMs: number) => Promise<string>;

/**
 * A verifier of the signatures Resend's webhooks carry (`svix-id`, `svix-timestamp`, `svix-signature`): HMAC-SHA-256
 * over `<id>.<timestamp>.<body>`, Base64, under a secret `whsec_<Base64>`. Any of `secrets` will do, and any of the
 * signatures sent. https://docs.svix.com/receiving/verifying-payloads/how-manual
 *
 * @throws ConfigurationError for a secret that is blank or not Base64.
 */
export function createSvixVerifier(secrets: readonly string[]): VerifySvixSignature {
  const material = secrets.map(bytesOfSecret);
  if (material.length === 0)
    throw new ConfigurationError("There is no secret to verify Resend's webhooks with.");
  const check = createSignatureCheck(material);

  return async (headers, body, nowMs) => {
    const id = headers.get("svix-id") ?? "";
    const timestamp = headers.get("svix-timestamp") ?? "";
    const offered = headers.get("svix-signature") ?? "";
    if (id === "" || timestamp === "" || offered === "") throw new SignatureError("missing");
    if (!/^\d{1,12}$/.test(timestamp) || id.length > 255) throw new SignatureError("malformed");
    const signatures = offered
      .split(" ")
      .filter((signature) => signature.startsWith("v1,"))
      .map((signature) => bytesOfBase64(signature.slice(3)))
      .filter((signature) => signature !== undefined);
    await check({ prefix: `${id}.${timestamp}.`, body, signatures, timestamp: Number(timestamp) }, nowMs);
    return id;
  };
}

function bytesOfSecret(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOfBase64(secret.trim().replace(/^whsec_/, ""));
  if (bytes === undefined || bytes.length === 0) {
    throw new ConfigurationError("A secret of Resend's webhooks is not of the form whsec_<Base64>.");
  }
  return bytes;
}

function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
