import { ConfigurationError, UnauthorizedError } from "./errors.ts";

/** Passes for a request whose `authorization` is `Bearer <secret>` with any of the secrets; otherwise rejects with an UnauthorizedError. */
export type CheckCaller = (request: Request) => Promise<void>;

const encoder = new TextEncoder();

/**
 * The guard of the functions that cron calls. Both sides are hashed first, and every secret is compared, so that it takes
 * the same time whatever was sent, however long it is, and whichever secret it is.
 *
 * @param secrets several while one is being rotated out
 * @throws ConfigurationError where there is none, or one is blank, which anybody could send.
 */
export function createCallerCheck(secrets: readonly string[]): CheckCaller {
  if (secrets.length === 0 || secrets.some((secret) => secret.trim() === "")) {
    throw new ConfigurationError("The shared secret is blank.");
  }
  const expected = Promise.all(secrets.map((secret) => digest(`Bearer ${secret.trim()}`)));
  return async (request) => {
    const sent = await digest(request.headers.get("authorization") ?? "");
    const matching = (await expected).filter((one) => difference(sent, one) === 0);
    if (matching.length === 0) throw new UnauthorizedError();
  };
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

function difference(left: Uint8Array, right: Uint8Array): number {
  let bits = 0;
  for (let index = 0; index < left.length; index++) bits |= (left[index] ?? 0) ^ (right[index] ?? 0);
  return bits;
}
