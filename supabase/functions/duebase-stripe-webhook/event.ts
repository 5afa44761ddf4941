import { InvalidEventError } from "../_duebase/errors.ts";
import { parseJson, storableJson } from "../_duebase/json.ts";

/** The fields that the function checks; the database reads all others. */
export type ReceivedEvent = {
  id: string;
  /** Any string: Stripe adds types, and an unknown one is stored like the others. */
  type: string;
  /** The customer the event is about, where it says so. */
  customer: string | undefined;
  /** With which others the database projects it one after another: those of its customer, else of its object. */
  turn: string | undefined;
  /** The whole event as JSON text that `jsonb` accepts, otherwise as it was sent. */
  json: string;
};

/** Ids and types of Stripe are far shorter; an index row of Postgres takes some 2,700 bytes. */
const MAX_NAME_LENGTH = 255;

/** For people who read the answer in Stripe's dashboard, and for the log. */
const SNAPSHOTS_NEEDED =
  "Snapshot payloads are needed, and this is a thin event: in Stripe, give the endpoint the payload style Snapshot.";

/**
 * Reads a verified body as a Stripe event.
 *
 * @throws InvalidEventError when it is not UTF-8, not JSON, nested too deeply, thin, not an event or without an id.
 */
export function parseEvent(body: Uint8Array): ReceivedEvent {
  const { value, text } = parseJson(body);
  if (isThin(value)) {
    throw new InvalidEventError("thin_event", SNAPSHOTS_NEEDED, { reason: SNAPSHOTS_NEEDED });
  }
  if (!isObject(value) || value.object !== "event") {
    throw new InvalidEventError("invalid_event", 'The body is not a Stripe event: "object" is not "event".');
  }
  return {
    id: nameIn(value, "id"),
    type: nameIn(value, "type"),
    customer: customerOf(value),
    turn: turnOf(value),
    json: storableJson(text),
  };
}

/**
 * Whether it is a thin event: it names an object and does not carry it. Stripe's first thin events called themselves
 * "event"; those have no `data.object` either. https://docs.stripe.com/api/v2/core/events/object
 */
function isThin(value: unknown): boolean {
  if (!isObject(value)) return false;
  if (value.object === "v2.core.event") return true;
  return value.object === "event" && isObject(value.related_object) && !isObject(value.data);
}

function nameIn(event: Record<string, unknown>, field: "id" | "type"): string {
  const name = event[field];
  if (typeof name !== "string" || name === "" || name.length > MAX_NAME_LENGTH) {
    throw new InvalidEventError("invalid_event", `The event has no usable "${field}".`);
  }
  return name;
}

/** References come as an id or, expanded, as the object; a customer's own events are about itself. */
function customerOf(event: Record<string, unknown>): string | undefined {
  const object = objectOf(event);
  return idOf(object?.object === "customer" ? object : object?.customer);
}

/** As `billing_private.lock_customer` has it; who is named by an account alone takes turns by that account. */
function turnOf(event: Record<string, unknown>): string | undefined {
  const object = objectOf(event);
  return customerOf(event) ?? idOf(object?.customer_account) ?? idOf(object);
}

function objectOf(event: Record<string, unknown>): Record<string, unknown> | undefined {
  return isObject(event.data) && isObject(event.data.object) ? event.data.object : undefined;
}

function idOf(reference: unknown): string | undefined {
  const id = isObject(reference) ? reference.id : reference;
  return typeof id === "string" ? id : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
