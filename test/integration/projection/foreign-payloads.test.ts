import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { NEWEST } from "../../support/old-shapes.ts";
import { type StripeEvent, type StripeObject, stripeEvent } from "../../support/stripe/events.ts";

/** Payloads that nobody here wrote. They are no part of the project, so a checkout alone does not have them. */
const FOLDER = join(import.meta.dirname, "../../../../shared/stripe");
const isThere = existsSync(FOLDER);
if (!isThere) console.log(`skipped: there is no ${FOLDER} to read foreign payloads from`);

const files = isThere ? readdirSync(join(FOLDER, "events")).filter((file) => file.endsWith(".json")) : [];
const sent = files.map((file, index) => {
  const event = JSON.parse(readFileSync(join(FOLDER, "events", file), "utf8")) as StripeEvent;
  return { file, event: { ...event, id: `evt_foreign_${index}` } };
});

/** Objects whose name is not the event type's less its last word. */
const OTHER_NAMES: Record<string, string> = {
  "customer.subscription": "subscription",
  "charge.dispute": "dispute",
  "charge.refund": "refund",
};

function samplesOf(type: string, samples: Record<string, StripeObject>): StripeObject[] {
  const kind = type.slice(0, type.lastIndexOf("."));
  const stub = type.endsWith(".deleted") ? samples[`deleted_${kind}`] : undefined;
  return [samples[OTHER_NAMES[kind] ?? kind], stub].filter((one) => one !== undefined);
}

describe.skipIf(!isThere)("payloads from elsewhere", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it("are there", () => {
    expect(sent.length).toBeGreaterThan(60);
    expect(sent.filter(({ event }) => event.livemode).length).toBe(1);
  });

  it.each(sent)("$file is stored once and does not fail", async ({ event }) => {
    expect(await database.receive(event)).toBe(event.livemode ? "quarantined" : "processed");
    expect(await database.receive(event)).toBe("duplicate");
    const stored = await database.sql`
      select payload, (select count(*)::integer from billing.webhook_events as o where o.id = e.id) as times
      from billing.stripe_events as e where e.id = ${event.id}
    `;
    expect(stored).toEqual([{ payload: event, times: 1 }]);
  });

  it("quarantine the one event of live mode and nothing else", async () => {
    const failed = await database.sql`select event_id, status from billing.failed_webhooks`;
    const live = sent.find(({ event }) => event.livemode)?.event.id;
    expect(failed).toEqual([{ event_id: live, status: "quarantined" }]);
    const named = await database.sql`select action from billing.audit_events where event_id = ${live ?? ""}`;
    expect(named).toEqual([]);
  });

  it("of the newest version do not fail either, wrapped in an event of every handled type", async () => {
    const samples = JSON.parse(readFileSync(join(FOLDER, "objects-latest.json"), "utf8")) as Record<
      string,
      StripeObject
    >;
    const handled = await database.sql<{ type: string }[]>`
      select distinct event_type as type from billing.event_handlers order by 1
    `;
    const outcomes: Record<string, string> = {};
    let created = 1_790_000_000;
    for (const { type } of handled) {
      const objects = samplesOf(type, samples);
      expect(objects, `no sample for ${type}`).not.toEqual([]);
      for (const [index, object] of objects.entries()) {
        const id = `evt_sample_${type}_${index}`;
        outcomes[id] = await database.receive(
          stripeEvent({ id, type, created: created++, api_version: NEWEST, object }),
        );
      }
    }
    expect(Object.entries(outcomes).filter(([, outcome]) => outcome !== "processed")).toEqual([]);
    const failed =
      await database.sql`select event_id, error from billing.failed_webhooks where status <> 'quarantined'`;
    expect(failed).toEqual([]);
  });
});
