import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiVersion, inShapeOf, linksOf, NEWEST } from "./old-shapes.ts";
import { previousAttributes, type StripeEvent, type StripeObject } from "./stripe/events.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/events");

/** The user who checks out in the fixtures' story. */
export const FIXTURE_USER = "0c0ffee0-1111-4222-8333-944455556666";

/** Our own events, one per type, in the order of their story. */
export function loadFixtures(): StripeEvent[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as StripeEvent)
    .sort((one, other) => one.created - other.created || (one.id < other.id ? -1 : 1));
}

/** The fixture of a type. */
export function fixture(type: string): StripeEvent {
  return JSON.parse(readFileSync(join(FOLDER, `${type}.json`), "utf8")) as StripeEvent;
}

/**
 * A fixture as an endpoint of another API version would have received it.
 *
 * @param all the fixtures, which tell together what pays for what
 * @returns null where that version had no such event
 */
export function fixtureInShapeOf(
  version: ApiVersion,
  event: StripeEvent,
  all: StripeEvent[],
): StripeEvent | null {
  if (version === NEWEST) return event;
  const payments = all.filter(({ type }) => type === "invoice_payment.paid").map(({ data }) => data.object);
  const links = linksOf(payments);
  const { object, previous_attributes: previous } = event.data;
  const rendered = inShapeOf(version, object, links);
  if (!rendered) return null;
  if (!previous) return { ...event, api_version: version, data: { object: rendered } };
  const before = inShapeOf(version, { ...earlier(object, previous), object: object.object }, links);
  return {
    ...event,
    api_version: version,
    data: { object: rendered, previous_attributes: before ? previousAttributes(before, rendered) : previous },
  };
}

/** The object an update started from. */
function earlier(object: StripeObject, previous: Record<string, unknown>): Record<string, unknown> {
  const before: Record<string, unknown> = { ...object };
  for (const [key, old] of Object.entries(previous)) {
    const now = object[key];
    const isNested = isRecord(old) && isRecord(now);
    before[key] = isNested ? earlier(now as StripeObject, old) : old;
  }
  return before;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same event under ids of a test's own: `_Example…` becomes `_<name>…`. */
export function renamedFixture(event: StripeEvent, name: string): StripeEvent {
  return JSON.parse(JSON.stringify(event).replaceAll("_Example", `_${name}`)) as StripeEvent;
}
