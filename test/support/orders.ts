import type { TestDatabase } from "./database.ts";
import { renamedFixture } from "./fixtures.ts";
import { NEWEST } from "./old-shapes.ts";
import { previousAttributes, type StripeEvent, type StripeObject, stripeEvent } from "./stripe/events.ts";

let made = 0;

/** An event about an object, in the newest shape; with `before`, an update that lists what changed since. */
export function told<T extends { object: string }>(
  type: string,
  created: number,
  object: T,
  before?: object,
): StripeEvent {
  return stripeEvent({
    id: `evt_Example${String(++made).padStart(6, "0")}`,
    type,
    created,
    api_version: NEWEST,
    object: object as unknown as StripeObject,
    previous: before && previousAttributes(before, object),
  });
}

let names = 0;

/** A name that no other test's ids have; see `renamedFixture`. */
export function newName(): string {
  return `Nm${String(++names).padStart(6, "0")}`;
}

/** Delivers events in the order given, under a name of their own. Returns the name. */
export async function deliver(
  database: TestDatabase,
  events: StripeEvent[],
  name = newName(),
): Promise<string> {
  for (const event of events) await database.receive(renamedFixture(event, name));
  return name;
}

/**
 * Delivers the events in every order there is, each order under a name of its own.
 *
 * @returns the names, the one of the order given first
 */
export async function deliverInEveryOrder(database: TestDatabase, events: StripeEvent[]): Promise<string[]> {
  const delivered: string[] = [];
  for (const order of permutations(events)) delivered.push(await deliver(database, order));
  return delivered;
}

function permutations<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [item, ...rest]),
  );
}

/** The reads of an object from Stripe that the outbox owes: the second in question, and what is to be read. */
export async function readsOwed(
  database: TestDatabase,
  id: string,
): Promise<{ key: string; payload: unknown }[]> {
  return await database.sql<{ key: string; payload: unknown }[]>`
    select dedupe_key as key, payload - 'event' as payload from billing.outbox
    where kind = 'refresh' and status = 'pending' and dedupe_key like ${`refresh:${id}:%`} order by 1
  `;
}
