import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import {
  after,
  breakHandler,
  customerEvent,
  failureOf,
  installHandler,
  mendHandler,
  minutes,
  replay,
  retry,
} from "./handlers.ts";

const start = new Date("2026-11-01T12:00:00Z");

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await installHandler(database);
});
beforeEach(() => mendHandler(database));
afterAll(() => database.drop());

/** Receives an event that fails until it is dead. */
async function receiveUntilDead(name: string): Promise<void> {
  await breakHandler(database, { customer: `cus_${name}`, sqlstate: "AP001" });
  await database.receive(customerEvent(name), start);
  for (const minute of [10, 60, 120]) await retry(database, after(start, minutes(minute)));
  expect(await failureOf(database, `evt_${name}`)).toMatchObject({ status: "dead", attempts: 4 });
}

/** Everything a replay could change. */
const everything = () => database.sql`
  select
    (select jsonb_agg(f order by f.event_id) from billing.failed_webhooks as f) as failures,
    (select jsonb_agg(c order by c.id) from billing.customers as c) as customers,
    (select jsonb_agg(v order by v.object_id) from billing_private.object_versions as v) as versions,
    (select jsonb_agg(a order by a.id) from billing.audit_events as a) as facts,
    (select jsonb_agg(o order by o.id) from billing.outbox as o) as outbox,
    (select jsonb_agg(r order by r.event_id) from app.runs as r) as runs
`;

test("a dead event is projected by a replay once its cause is mended, and a second replay changes nothing", async () => {
  await receiveUntilDead("mended");
  expect(await replay(database, "evt_mended"), "not mended yet").toBe("dead");
  await mendHandler(database);
  expect(await replay(database, "evt_mended", after(start, minutes(180)))).toBe("processed");
  expect(await database.sql`select email from billing.customers where id = 'cus_mended'`).toHaveLength(1);
  expect(await failureOf(database, "evt_mended")).toMatchObject({
    status: "resolved",
    resolved_at: after(start, minutes(180)),
  });
  const before = await everything();
  for (let again = 0; again < 3; again++) expect(await replay(database, "evt_mended")).toBe("processed");
  expect(await everything()).toEqual(before);
});

test("an event that still has retries left can be replayed at once", async () => {
  await breakHandler(database, { customer: "cus_impatient", sqlstate: "AP001" });
  await database.receive(customerEvent("impatient"), start);
  await mendHandler(database);
  expect(await replay(database, "evt_impatient")).toBe("processed");
  expect(await retry(database, after(start, minutes(60)))).toBe(0);
});

test("an event that never failed is left as it is", async () => {
  expect(await database.receive(customerEvent("healthy"), start)).toBe("processed");
  const before = await everything();
  expect(await replay(database, "evt_healthy")).toBe("processed");
  expect(await everything()).toEqual(before);
});

test("an event that was never received is refused by name, with what to do", async () => {
  await expect(replay(database, "evt_never_received")).rejects.toMatchObject({
    code: "DU002",
    message: "no event evt_never_received was received",
    hint: expect.stringContaining("billing.webhook_events"),
  });
});

test("a quarantined event is refused until settings are corrected, then it is projected", async () => {
  const other = await createTestDatabase();
  try {
    expect(await other.receive(customerEvent("live", { livemode: true }), start)).toBe("quarantined");
    await expect(replay(other, "evt_live")).rejects.toMatchObject({
      code: "DU003",
      message: expect.stringContaining("livemode"),
      hint: expect.stringContaining("billing.settings"),
    });
    expect(await retry(other, after(start, minutes(60 * 24)))).toBe(0);
    await other.sql`update billing.settings set livemode = true`;
    expect(await replay(other, "evt_live")).toBe("processed");
    expect(await other.sql`select id from billing.customers`).toEqual([{ id: "cus_live" }]);
    expect(await failureOf(other, "evt_live")).toMatchObject({ status: "resolved", attempts: 0 });
  } finally {
    await other.drop();
  }
});

test("a quarantined event whose projection then fails is retried like any other", async () => {
  const other = await createTestDatabase();
  try {
    await installHandler(other);
    await other.receive(customerEvent("live", { livemode: true }), start);
    await other.sql`update billing.settings set livemode = true`;
    await breakHandler(other, { customer: "*", sqlstate: "AP001" });
    expect(await replay(other, "evt_live", start)).toBe("retrying");
    expect(await failureOf(other, "evt_live")).toMatchObject({ status: "retrying", attempts: 1 });
    await mendHandler(other);
    expect(await retry(other, after(start, minutes(2)))).toBe(1);
    expect(await failureOf(other, "evt_live")).toMatchObject({ status: "resolved" });
  } finally {
    await other.drop();
  }
});

test("twenty replays at the same time run the handlers once", async () => {
  await receiveUntilDead("crowded");
  await mendHandler(database);
  await breakHandler(database, { customer: "cus_crowded", seconds: 0.2 });
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => replay(database, "evt_crowded")));
  expect(new Set(outcomes)).toEqual(new Set(["processed"]));
  expect(await database.sql`select times from app.runs where event_id = 'evt_crowded'`).toEqual([
    { times: 1 },
  ]);
});
