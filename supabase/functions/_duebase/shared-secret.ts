import { ConfigurationError, UnauthorizedError } from "./errors.ts";

/** Passes for a request whose `authorization` is `Bearer <secret>`; otherwise rejects with an UnauthorizedError. */
export type CheckCaller = (request: Request) => Promise<void>;

const encoder = new TextEncoder();

/**
 * The guard of the functions that cron calls. Both sides are hashed first, so that the comparison takes the same
 * time whatever was sent and however long it is.
 *
 * @throws ConfigurationError for a blank secret, which anybody could send.
 */
export function createCallerCheck(secret: string): CheckCaller {
  if (secret.trim() === "") throw new ConfigurationError("The shared secret is blank.");
  const expected = digest(`Bearer ${secret.trim()}`);
  return async (request) => {
    const sent = await digest(request.headers.get("authorization") ?? "");
    if (difference(sent, await expected) !== 0) throw new UnauthorizedError();
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
