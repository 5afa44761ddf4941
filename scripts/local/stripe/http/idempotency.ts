import type { KeyRules } from "../../service/idempotency.ts";
import { idempotencyError } from "./errors.ts";

/** What Stripe gives again under a key. */
export interface Replay {
  status: number;
  body: string;
  requestId: string;
}

/** Stripe's rules; it tells the time in seconds, and may forget a key after a day. */
export const keyRules: KeyRules = {
  lifetime: 24 * 3600,
  otherRequest: (key) =>
    idempotencyError(
      400,
      `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
    ),
  inProgress: (key) =>
    idempotencyError(
      409,
      `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
      "idempotency_key_in_use",
    ),
};
