import {
  SessionRefusedError,
  StripeCallError,
  UpstreamMisconfiguredError,
  UpstreamUnavailableError,
} from "./errors.ts";
import { loggableId } from "./log.ts";
import type { CallStripe, StripeRequest } from "./stripe.ts";

/** A user waits for the page, and leaves after this long. Milliseconds. */
export const SESSION_TIMEOUT_MS = 10_000;

/**
 * Has Stripe make a session and returns the address of its page.
 *
 * @param hint what the operator has probably left undone when Stripe refuses the request as such
 * @throws UpstreamUnavailableError, UpstreamMisconfiguredError, SessionRefusedError
 */
export async function createStripeSession(
  callStripe: CallStripe,
  request: Omit<StripeRequest, "method">,
  hint: string,
): Promise<string> {
  try {
    const { object } = await callStripe({ method: "POST", ...request });
    return pageOf(object);
  } catch (error) {
    throw sessionError(error, hint);
  }
}

/**
 * The address of a session's page.
 *
 * @throws UpstreamMisconfiguredError where Stripe's answer has none.
 */
export function pageOf(session: Record<string, unknown>): string {
  if (typeof session.url === "string" && URL.canParse(session.url)) return session.url;
  throw new UpstreamMisconfiguredError("stripe", { reason: "Stripe's answer has no url." });
}

/** What a failed call for a session means to its caller; any other error as it is. See createStripeSession. */
export function sessionError(error: unknown, hint: string): unknown {
  return error instanceof StripeCallError ? meaningOf(error, hint) : error;
}

function meaningOf(error: StripeCallError, hint: string): Error {
  const { code, status } = error;
  const diagnostics = { upstream_status: status };
  // Stripe's codes are words of its own; its messages quote what was sent.
  const said = loggableId(code) ?? "an error";
  if (status === 401 || status === 403) {
    const reason = `Stripe does not accept DUEBASE_STRIPE_SECRET_KEY, or the key may not do this (${said}).`;
    return new UpstreamMisconfiguredError("stripe", { reason, ...diagnostics });
  }
  if (error.isPassing) {
    const reason = `Stripe did not answer, or reported a failure (${said}).`;
    return new UpstreamUnavailableError("stripe", { reason, ...diagnostics }, error.retryAfterSeconds);
  }
  if (code === "idempotency_error") {
    const message = "That idempotency_key was used with another request before.";
    return new SessionRefusedError("idempotency_conflict", 409, message, diagnostics);
  }
  if (code === "resource_missing") {
    const reason =
      "Stripe knows no such customer, subscription or price: DUEBASE_STRIPE_SECRET_KEY is of another account or mode than the database.";
    return new UpstreamMisconfiguredError("stripe", { reason, ...diagnostics });
  }
  const reason = `Stripe refused the session (${said}). ${hint}`;
  return new SessionRefusedError("stripe_refused", 400, "Stripe refuses this session.", {
    reason,
    ...diagnostics,
  });
}
