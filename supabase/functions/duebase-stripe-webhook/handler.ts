import type { VerifySignature } from "../_duebase/stripe-signature.ts";
import { receiveWebhook, type WebhookEndpointDependencies } from "../_duebase/webhook-endpoint.ts";
import { parseEvent } from "./event.ts";
import type { StoreEvent } from "./gather.ts";

export type WebhookDependencies = WebhookEndpointDependencies & {
  verifySignature: VerifySignature;
  /** Stores an event; resolves with what became of it once that is committed. */
  storeEvent: StoreEvent;
  /** Begins to tell the operator what the database could not: Stripe's events come in whatever of the project is broken. */
  tellAlarms: () => void;
};

/** Stripe's way in: whatever Stripe signed is stored, once an event id. */
export async function handleStripeWebhook(
  request: Request,
  dependencies: WebhookDependencies,
): Promise<Response> {
  const { verifySignature, storeEvent, tellAlarms } = dependencies;
  const response = await receiveWebhook(request, dependencies, {
    verify: (headers, body, nowMs) => verifySignature(headers.get("stripe-signature"), body, nowMs),
    async take(body, _proof, about) {
      const event = parseEvent(body);
      about({ event: event.id, type: event.type, customer: event.customer });
      return await storeEvent(event);
    },
  });
  // The answer waits for none of it, and nobody but Stripe makes the database look.
  if (response.ok) tellAlarms();
  return response;
}
