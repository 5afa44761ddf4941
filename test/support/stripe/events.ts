import { previousAttributes as previousOf } from "../../../scripts/local/stripe/core/changes.ts";
import type { JsonObject } from "../../../scripts/local/stripe/core/wire.ts";

/** Any JSON object of Stripe's. */
export type StripeObject = { object: string; id?: string } & Record<string, unknown>;

/** A webhook event as Stripe posts it. */
export interface StripeEvent {
  id: string;
  object: "event";
  api_version: string;
  created: number;
  data: { object: StripeObject; previous_attributes?: Record<string, unknown> };
  livemode: boolean;
  pending_webhooks: number;
  request: { id: string | null; idempotency_key: string | null };
  type: string;
}

/** Wraps an object in an event, in the envelope of the given API version. */
export function stripeEvent(values: {
  id: string;
  type: string;
  created: number;
  api_version: string;
  object: StripeObject;
  previous?: Record<string, unknown>;
}): StripeEvent {
  return {
    id: values.id,
    object: "event",
    api_version: values.api_version,
    created: values.created,
    data: values.previous
      ? { object: values.object, previous_attributes: values.previous }
      : { object: values.object },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: values.type,
  };
}

/** What Stripe puts in previous_attributes when `before` became `after`; an empty object if nothing changed. */
export function previousAttributes(before: object, after: object): Record<string, unknown> {
  return previousOf(before as JsonObject, after as JsonObject) ?? {};
}
