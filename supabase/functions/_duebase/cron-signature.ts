import { ConfigurationError, SignatureError, UnauthorizedError } from "./errors.ts";
import { createSignatureCheck, parseSignatureHeader } from "./signature.ts";

/** The header that signs a call of cron's: `t=<seconds>,v1=<hex>`. */
export const CRON_SIGNATURE_HEADER = "duebase-signature";

/**
 * How far the time of a signature may be from our clock, in seconds, either way: pg_net sends at once, or soon. What is
 * sent again within it starts one more run, which does what is due and nothing twice.
 */
const CRON_TOLERANCE_SECONDS = 60;

/** Resolves for a call whose headers sign exactly these bytes; otherwise rejects with an UnauthorizedError. */
export type CheckCaller = (headers: Headers, body: Uint8Array, nowMs: number) => Promise<void>;

const encoder = new TextEncoder();

/**
 * The guard of the functions that cron calls. The database signs time, function and body with the secret that both have
 * (`billing_private.sign_call`), so that the secret is in no queue and no log.
 *
 * @param secrets several while one is being rotated out
 * @param functionName a signature for another function is worth nothing here
 * @throws ConfigurationError where there is no secret, or one is blank, with which anybody could sign.
 */
export function createCallerCheck(secrets: readonly string[], functionName: string): CheckCaller {
  if (secrets.length === 0 || secrets.some((secret) => secret.trim() === "")) {
    throw new ConfigurationError("The cron secret is blank.");
  }
  const check = createSignatureCheck(
    secrets.map((secret) => encoder.encode(secret.trim())),
    CRON_TOLERANCE_SECONDS,
  );
  return async (headers, body, nowMs) => {
    try {
      const { timestamp, signatures } = parseSignatureHeader(headers.get(CRON_SIGNATURE_HEADER));
      const prefix = `${timestamp}.${functionName}.`;
      await check({ prefix, body, signatures, timestamp: Number(timestamp) }, nowMs);
    } catch (error) {
      throw error instanceof SignatureError ? new UnauthorizedError(error) : error;
    }
  };
}
