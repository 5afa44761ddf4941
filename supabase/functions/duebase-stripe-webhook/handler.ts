import { readBody } from "../_duebase/body.ts";
import {
  DatabaseMisconfiguredError,
  DuebaseError,
  errorResponse,
  MethodNotAllowedError,
} from "../_duebase/errors.ts";
import { describeError, type LogFields, type Logger, type LogLevel, loggableId } from "../_duebase/log.ts";
import type { VerifySignature } from "../_duebase/signature.ts";
import { parseEvent, type ReceivedEvent } from "./event.ts";
import type { TakeTurn } from "./turns.ts";

export type WebhookDependencies = {
  verifySignature: VerifySignature;
  /** Stores an event, given as JSON text; resolves with the database's answer once it is committed. */
  receiveEvent: (event: string) => Promise<unknown>;
  /** Waits until not too many events of one customer, or of one object that is nobody's, are being stored. */
  takeTurn: TakeTurn;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};

/**
 * Stripe's way in: reads the body within bounds, checks that Stripe signed it, and stores the event.
 * It answers 2xx only once the database has said what became of the event; on any doubt it answers so
 * that Stripe sends again, which is safe because an event id is stored once. Writes one log line a request.
 */
export async function handleStripeWebhook(
  request: Request,
  dependencies: WebhookDependencies,
): Promise<Response> {
  const startedAt = performance.now();
  let event: ReceivedEvent | undefined;
  const report = (level: LogLevel, fields: Omit<LogFields, "duration_ms">) => {
    dependencies.log(level, {
      event: loggableId(event?.id),
      type: loggableId(event?.type),
      customer: loggableId(event?.customer),
      ...fields,
      duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
    });
  };

  try {
    if (request.method !== "POST") throw new MethodNotAllowedError("POST");
    const body = await readBody(request);
    await dependencies.verifySignature(request.headers.get("stripe-signature"), body, dependencies.now());
    const received = parseEvent(body);
    event = received;
    const outcome = outcomeOf(
      await dependencies.takeTurn(received.turn, () => dependencies.receiveEvent(received.json)),
    );
    report(outcome === "failed" || outcome === "quarantined" ? "warn" : "info", { outcome, status: 200 });
    return Response.json({ received: true, outcome });
  } catch (error) {
    const response = errorResponse(error);
    report(response.status >= 500 ? "error" : "warn", {
      outcome: error instanceof DuebaseError ? error.code : "internal_error",
      status: response.status,
      ...describeError(error),
    });
    return response;
  }
}

/** A word the database chose; whatever else came back, with status 200 or not, was not `receive_event`. */
function outcomeOf(answer: unknown): string {
  if (typeof answer === "string" && /^[a-z_]{1,40}$/.test(answer)) return answer;
  throw new DatabaseMisconfiguredError({ reason: "billing.receive_event did not answer with an outcome." });
}
