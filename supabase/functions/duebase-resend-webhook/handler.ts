import { readBody } from "../_duebase/body.ts";
import {
  DatabaseMisconfiguredError,
  DuebaseError,
  errorResponse,
  InvalidEventError,
  MethodNotAllowedError,
} from "../_duebase/errors.ts";
import { parseJson, storableJson } from "../_duebase/json.ts";
import { describeError, type LogFields, type Logger, type LogLevel, loggableId } from "../_duebase/log.ts";
import type { VerifySvixSignature } from "../_duebase/svix-signature.ts";

export type ResendWebhookDependencies = {
  verifySignature: VerifySvixSignature;
  /** Takes a report, as JSON text, under its id; resolves with the database's answer once it is committed. */
  receiveReport: (id: string, report: string) => Promise<unknown>;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};

/**
 * Resend's way in: reads the body within bounds, checks that Resend signed it, and has the report taken. Events
 * about anything but a mail (domains, contacts) are answered with 200 and forgotten. On any doubt it answers so that
 * Resend sends again, which is safe because an event id is taken once. Writes one log line a request.
 */
export async function handleResendWebhook(
  request: Request,
  dependencies: ResendWebhookDependencies,
): Promise<Response> {
  const startedAt = performance.now();
  let id: string | undefined;
  let type: string | undefined;
  const report = (level: LogLevel, fields: Omit<LogFields, "duration_ms">) => {
    dependencies.log(level, {
      event: loggableId(id),
      type: loggableId(type),
      ...fields,
      duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
    });
  };

  try {
    if (request.method !== "POST") throw new MethodNotAllowedError("POST");
    const body = await readBody(request);
    id = await dependencies.verifySignature(request.headers, body, dependencies.now());
    const { value, text } = parseJson(body);
    type = typeOf(value);
    const outcome = type.startsWith("email.")
      ? outcomeOf(await dependencies.receiveReport(id, storableJson(text)))
      : "ignored";
    report("info", { outcome, status: 200 });
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

function typeOf(value: unknown): string {
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type === "string" && type !== "") return type;
  throw new InvalidEventError("invalid_event", "The body is not an event of Resend's.");
}

/** A word the database chose; whatever else came back was not `receive_email_report`. */
function outcomeOf(answer: unknown): string {
  if (typeof answer === "string" && /^[a-z_]{1,40}$/.test(answer)) return answer;
  throw new DatabaseMisconfiguredError({
    reason: "billing.receive_email_report did not answer with an outcome.",
  });
}
