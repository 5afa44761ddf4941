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

/**
 * What Stripe puts in previous_attributes when `before` became `after`: the attributes that changed, as they were.
 * Of nested objects only the keys that changed, null for a key that is new; of arrays the whole array.
 */
export function previousAttributes(before: object, after: object): Record<string, unknown> {
  const was = before as Record<string, unknown>;
  const is = after as Record<string, unknown>;
  const changed: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const [old, now] = [was[key] ?? null, is[key] ?? null];
    if (isPlain(old) && isPlain(now)) {
      const nested = previousAttributes(old, now);
      if (Object.keys(nested).length > 0) changed[key] = nested;
    } else if (JSON.stringify(old) !== JSON.stringify(now)) {
      changed[key] = old;
    }
  }
  return changed;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
