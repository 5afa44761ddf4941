import { readBody } from "./body.ts";
import { DatabaseMisconfiguredError, errorResponse, MethodNotAllowedError } from "./errors.ts";
import { describeError, type LogFields, type Logger, type LogLevel, loggableId, outcomeOf } from "./log.ts";

/** What a webhook needs of its surroundings, whoever sends it. */
export type WebhookEndpointDependencies = {
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};

/** What is known of a delivery so far: its log line says so. */
export type DeliverySubject = { event?: string; type?: string; customer?: string };

/** What is different from one sender of webhooks to the other. */
export type WebhookSender<Proof> = {
  /** Resolves when the sender signed exactly these bytes; otherwise rejects with a SignatureError. */
  verify: (headers: Headers, body: Uint8Array, nowMs: number) => Promise<Proof>;
  /**
   * Has a verified body taken, and resolves with what became of it once that is committed. Tells `about` what it is
   * about as soon as it knows, for whatever goes wrong afterwards.
   */
  take: (body: Uint8Array, proof: Proof, about: (subject: DeliverySubject) => void) => Promise<string>;
};

/**
 * The way in for a service that signs what it sends: reads the body within bounds, checks the signature, and has it
 * taken. It answers 2xx only once the database has said what became of it; on any doubt it answers so that the sender
 * sends again, which is safe because an event id is taken once. Writes one log line a request.
 */
export async function receiveWebhook<Proof>(
  request: Request,
  dependencies: WebhookEndpointDependencies,
  sender: WebhookSender<Proof>,
): Promise<Response> {
  const startedAt = performance.now();
  let subject: DeliverySubject = {};
  const report = (level: LogLevel, fields: Omit<LogFields, "duration_ms">) => {
    dependencies.log(level, {
      event: loggableId(subject.event),
      type: loggableId(subject.type),
      customer: loggableId(subject.customer),
      ...fields,
      duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
    });
  };

  try {
    if (request.method !== "POST") throw new MethodNotAllowedError("POST");
    const body = await readBody(request);
    const proof = await sender.verify(request.headers, body, dependencies.now());
    const outcome = await sender.take(body, proof, (known) => {
      subject = known;
    });
    report(outcome === "failed" || outcome === "quarantined" ? "warn" : "info", { outcome, status: 200 });
    return Response.json({ received: true, outcome });
  } catch (error) {
    const response = errorResponse(error);
    report(response.status >= 500 ? "error" : "warn", {
      outcome: outcomeOf(error),
      status: response.status,
      ...describeError(error),
    });
    return response;
  }
}

/**
 * The word that a function of the database answered with.
 *
 * @param of the function
 * @throws DatabaseMisconfiguredError for whatever else came back, with status 200 or not: it was not that function.
 */
export function outcomeIn(answer: unknown, of: `billing.${string}`): string {
  if (typeof answer === "string" && /^[a-z_]{1,40}$/.test(answer)) return answer;
  throw new DatabaseMisconfiguredError({ reason: `${of} did not answer with an outcome.` });
}
