import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { type StripeObject, stripeEvent } from "../support/stripe/events.ts";
import { type FaultStack, startFaultStack } from "./fault-stack.ts";
import { asDelivered, type Delivered, StripeSender } from "./stripe-sender.ts";

/** Payloads from other projects: see its README. */
const folder = resolve(projectRoot, "../shared/stripe");
const isHere = existsSync(folder);
if (!isHere) console.warn(`skipped: payloads from elsewhere are not at ${folder}`);

type ForeignEvent = { id: string; type: string; livemode: boolean };

describe.skipIf(!isHere)(`payloads of ${folder}`, () => {
  let faulty: FaultStack;
  let sender: StripeSender;
  beforeAll(async () => {
    faulty = await startFaultStack();
    sender = new StripeSender(faulty.webhookUrl, faulty.stack.status.STRIPE_WEBHOOK_SECRET);
  }, 120_000);
  afterAll(() => faulty?.close());

  it("each event, under an id of its own, is stored once and none fails; the live one is quarantined", async () => {
    const events = foreignEvents().map((event) => ({ ...event, id: `evt_foreign_${event.type}` }));
    expect(events.filter(({ livemode }) => livemode)).toHaveLength(1);

    for (const event of events) {
      const outcome = event.livemode ? "quarantined" : "processed";
      expect(await sender.post(asDelivered(event))).toMatchObject({ event: event.id, status: 200, outcome });
    }
    expect(await storedAmong(events)).toEqual(events.map(({ id }) => id).toSorted());
    expect(await failures()).toEqual(
      events.filter(({ livemode }) => livemode).map(({ id }) => ({ event_id: id, status: "quarantined" })),
    );
  });

  it("each event under its original id, which many share: one row an id, the others are duplicates", async () => {
    const events = foreignEvents();
    const unique = [...new Set(events.map(({ id }) => id))];
    expect(unique.length).toBeLessThan(events.length);

    const before = await failures();
    await sender.deliver(events.map(asDelivered), { inFlight: 8, within: 30_000 });

    expect(await storedAmong(events)).toEqual(unique.toSorted());
    const [repeated] = await faulty.sql`
      select count(*)::integer as count from billing.webhook_duplicates where event_id = any(${unique})
    `;
    expect(repeated?.count).toBe(events.length - unique.length);
    const live = events.filter(({ livemode }) => livemode);
    expect(
      (await failures()).filter(({ event_id }) => !before.some((known) => known.event_id === event_id)),
    ).toEqual(live.map(({ id }) => ({ event_id: id, status: "quarantined" })));
  });

  it("each object of the newest version, in an event of every type that is handled for it, is projected", async () => {
    const rows = await faulty.sql<{ event_type: string }[]>`
      select distinct event_type from billing.event_handlers order by event_type
    `;
    const before = await failures();
    const delivered = rows.flatMap(({ event_type: type }) => wrapped(type, objectsFor(type)));
    expect(delivered.length).toBeGreaterThanOrEqual(rows.length);

    for (const event of delivered) {
      expect(await sender.post(event)).toMatchObject({ event: event.id, status: 200, outcome: "processed" });
    }
    expect(await storedAmong(delivered)).toEqual(delivered.map(({ id }) => id).toSorted());
    expect(await failures()).toEqual(before);
  });

  it("objects of types that nobody handles are stored and count as processed", async () => {
    const before = await failures();
    const delivered = Object.entries(newestObjects()).flatMap(([name, object]) =>
      wrapped(`${name}.unknown_kind`, [object]),
    );
    for (const event of delivered) {
      expect(await sender.post(event)).toMatchObject({ event: event.id, status: 200, outcome: "processed" });
    }
    expect(await failures()).toEqual(before);
  });

  async function storedAmong(events: readonly { id: string }[]): Promise<string[]> {
    const ids = events.map(({ id }) => id);
    const rows = await faulty.sql<
      { id: string }[]
    >`select id from billing.webhook_events where id = any(${ids})`;
    return rows.map(({ id }) => id).toSorted();
  }

  function failures() {
    return faulty.sql<{ event_id: string; status: string }[]>`
      select event_id, status from billing.failed_webhooks order by event_id
    `;
  }
});

function foreignEvents(): ForeignEvent[] {
  const events = join(folder, "events");
  return readdirSync(events).map(
    (name) => JSON.parse(readFileSync(join(events, name), "utf8")) as ForeignEvent,
  );
}

function newestObjects(): Record<string, StripeObject> {
  return JSON.parse(readFileSync(join(folder, "objects-latest.json"), "utf8")) as Record<
    string,
    StripeObject
  >;
}

/** The objects an event type is about: `customer.subscription.paused` is about a subscription. */
function objectsFor(type: string): StripeObject[] {
  const subject = type.slice(0, type.lastIndexOf("."));
  const objects = newestObjects();
  const names = [subject, subject.slice(subject.indexOf(".") + 1)];
  const found = names.map((name) => objects[name]).find((object) => object !== undefined);
  if (!found) throw new Error(`no sample object for events of type ${type}`);
  const stub = type.endsWith(".deleted") ? objects[`deleted_${found.object}`] : undefined;
  return stub ? [found, stub] : [found];
}

function wrapped(type: string, objects: StripeObject[]): Delivered[] {
  return objects.map((object, index) =>
    asDelivered(
      stripeEvent({
        id: `evt_newest_${type}_${index}`,
        type,
        created: 1_790_000_000,
        api_version: "2026-10-28.endive",
        object,
      }),
    ),
  );
}
