import type { VerifySignature } from "../_duebase/stripe-signature.ts";
import { outcomeIn, receiveWebhook, type WebhookEndpointDependencies } from "../_duebase/webhook-endpoint.ts";
import { parseEvent } from "./event.ts";
import type { TakeTurn } from "./turns.ts";

export type WebhookDependencies = WebhookEndpointDependencies & {
  verifySignature: VerifySignature;
  /** Stores an event, given as JSON text; resolves with the database's answer once it is committed. */
  receiveEvent: (event: string) => Promise<unknown>;
  /** Waits while too many events of one customer, or of one object without a customer, are being stored. */
  takeTurn: TakeTurn;
};

/** Stripe's way in: whatever Stripe signed is stored, once an event id. */
export function handleStripeWebhook(request: Request, dependencies: WebhookDependencies): Promise<Response> {
  const { verifySignature, receiveEvent, takeTurn } = dependencies;
  return receiveWebhook(request, dependencies, {
    verify: (headers, body, nowMs) => verifySignature(headers.get("stripe-signature"), body, nowMs),
    async take(body, _proof, about) {
      const { id, type, customer, turn, json } = parseEvent(body);
      about({ event: id, type, customer });
      return outcomeIn(await takeTurn(turn, () => receiveEvent(json)), "billing.receive_event");
    },
  });
}
