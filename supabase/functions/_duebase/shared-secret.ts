import { ConfigurationError } from "./errors.ts";
import { equalInConstantTime } from "./signature.ts";

/** Whether a request's `authorization` is `Bearer <secret>` with any of the secrets. */
export type HasSecret = (request: Request) => Promise<boolean>;

const encoder = new TextEncoder();

/**
 * Recognises a caller by a secret that it sends. Both sides are hashed first, and every secret is compared, so that it
 * takes the same time whatever was sent, however long it is, and whichever secret it is.
 *
 * @param secrets several while one is being rotated out; with none, nobody has it
 * @throws ConfigurationError where one is blank, which anybody could send.
 */
export function createSecretCheck(secrets: readonly string[]): HasSecret {
  if (secrets.some((secret) => secret.trim() === "")) throw new ConfigurationError("A secret is blank.");
  const expected = Promise.all(secrets.map((secret) => digest(`Bearer ${secret.trim()}`)));
  return async (request) => {
    const sent = await digest(request.headers.get("authorization") ?? "");
    return (await expected).filter((one) => equalInConstantTime(sent, one)).length > 0;
  };
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}
