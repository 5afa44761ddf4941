import type { KeptAnswer as KeptAnswerOf, KeyRules } from "../../service/idempotency.ts";
import { ResendError } from "./errors.ts";

const longestKey = 256;

/** What Resend gives again under a key: successes only, so a body is enough. */
export interface Replay {
  body: string;
}

export type KeptAnswer = KeptAnswerOf<Replay>;

/**
 * Resend's rules, in milliseconds (https://resend.com/docs/dashboard/emails/idempotency-keys). Only successes are
 * kept: a request that failed did nothing, and may come again under the same key with its mistake mended.
 */
export const keyRules: KeyRules = {
  lifetime: 24 * 3600 * 1000,
  otherRequest: (key) =>
    new ResendError(
      409,
      "invalid_idempotent_request",
      `The idempotency key '${key}' was used with another payload within the last 24 hours.`,
    ),
  inProgress: (key) =>
    new ResendError(
      409,
      "concurrent_idempotent_requests",
      `The first request with the idempotency key '${key}' is still in progress.`,
    ),
};

/** @throws {ResendError} 400 invalid_idempotency_key */
export function checkKey(key: string): void {
  if (key.length >= 1 && key.length <= longestKey) return;
  throw new ResendError(
    400,
    "invalid_idempotency_key",
    `An idempotency key has 1 to ${longestKey} characters; this one has ${key.length}.`,
  );
}
