import { previousAttributes } from "./changes.ts";
import { newId } from "./ids.ts";
import type { EventType, JsonObject, StripeEvent } from "./wire.ts";
import { type Clocked, timeOf, type World } from "./world.ts";

/** A copy that nothing shares with the original, as JSON would carry it. */
export function jsonCopy(object: object): JsonObject {
  return JSON.parse(JSON.stringify(object)) as JsonObject;
}

/**
 * Say that something happened.
 * @param object what `data.object` shows, as it is at this moment
 * @param subject whose clock stamps the event, where the object itself does not say
 */
export function emit(
  world: World,
  type: EventType,
  object: object,
  subject: Clocked | null = object as Clocked,
  previous?: JsonObject,
): void {
  append(world, type, jsonCopy(object), subject, previous);
}

function append(
  world: World,
  type: EventType,
  copy: JsonObject,
  subject: Clocked | null,
  previous: JsonObject | undefined,
): void {
  const event: StripeEvent = {
    id: newId("evt"),
    object: "event",
    ...(world.connectedAccount === null ? {} : { account: world.connectedAccount }),
    api_version: world.apiVersion,
    created: timeOf(world, subject),
    data: { object: copy, ...(previous ? { previous_attributes: previous } : {}) },
    livemode: false,
    pending_webhooks: 0,
    request: {
      id: world.request?.id ?? null,
      idempotency_key: world.request?.idempotencyKey ?? null,
    },
    type,
  };
  world.events.append(world.settings.eventShape?.(event) ?? event, world.wallSeconds());
}

/** Put an object back to what a copy of it says. */
export function restore(object: object, copy: object): void {
  for (const key of Object.keys(object)) if (!(key in copy)) Reflect.deleteProperty(object, key);
  Object.assign(object, copy);
}

/**
 * Change an object and send the `*.updated` event with its previous attributes; no event if nothing changed.
 * @returns whether anything changed
 */
export function change<T extends object>(
  world: World,
  type: EventType,
  object: T,
  apply: (object: T) => void,
  subject: Clocked | null = object as Clocked,
): boolean {
  const before = jsonCopy(object);
  try {
    apply(object);
  } catch (error) {
    restore(object, before);
    throw error;
  }
  const after = jsonCopy(object);
  const previous = previousAttributes(before, after);
  if (previous) append(world, type, after, subject, previous);
  return previous !== undefined;
}
