import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { after, breakHandler, customerEvent, failureOf, installHandler, minutes, retry } from "./handlers.ts";

const start = new Date("2026-11-01T12:00:00Z");

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await installHandler(database);
  await breakHandler(database, { customer: "*", sqlstate: "AP001" });
});
afterAll(() => database.drop());

/** Milliseconds from the last failure to the next attempt of every event that waits for one. */
async function delays(): Promise<number[]> {
  const rows = await database.sql<{ delay: number }[]>`
    select (extract(epoch from next_attempt_at - last_failed_at) * 1000)::float8 as delay
    from billing.failed_webhooks
    where status = 'retrying'
  `;
  return rows.map((row) => row.delay);
}

test("a failed event is tried after 1, 5 and 25 minutes and up to a fifth, then it is dead", async () => {
  const count = 40;
  for (let number = 0; number < count; number++) {
    expect(await database.receive(customerEvent(`backoff_${number}`), start)).toBe("failed");
  }
  let now = start;
  for (const [attempts, wait] of [
    [1, 1],
    [2, 5],
    [3, 25],
  ] as const) {
    const waits = await delays();
    expect(waits).toHaveLength(count);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(minutes(wait));
    expect(Math.max(...waits)).toBeLessThanOrEqual(minutes(wait * 1.2));
    // Failures of one cause spread out: they do not come back all at once.
    expect(new Set(waits.map(Math.round)).size).toBeGreaterThan(count / 2);
    expect(await database.sql`select distinct attempts from billing.failed_webhooks`).toEqual([{ attempts }]);

    expect(await retry(database, after(now, minutes(wait) - 1)), "not a moment too soon").toBe(0);
    now = after(now, minutes(wait * 1.2));
    expect(await retry(database, now)).toBe(count);
  }
  expect(
    await database.sql`select distinct status, attempts, next_attempt_at from billing.failed_webhooks`,
  ).toEqual([{ status: "dead", attempts: 4, next_attempt_at: null }]);
  expect(await retry(database, after(now, minutes(60 * 24 * 365)))).toBe(0);
  const alerts =
    await database.sql`select payload ->> 'cause' as cause from billing.outbox where kind = 'alert'`;
  expect(alerts, "one alert an hour").toEqual([{ cause: "dead_webhook" }]);
});

test("an attempt that is due is made at exactly its time", async () => {
  await database.receive(customerEvent("punctual"), start);
  const due = (await failureOf(database, "evt_punctual"))?.next_attempt_at;
  if (!due) throw new Error("no next attempt");
  // Postgres counts in microseconds, a Date in milliseconds: the next one is certainly not before it.
  expect(await retry(database, after(due, -1))).toBe(0);
  expect(await retry(database, after(due, 1))).toBe(1);
  expect(await failureOf(database, "evt_punctual")).toMatchObject({ attempts: 2, first_failed_at: start });
});

test("a tick that comes days late makes one attempt, and the next one waits its time from then", async () => {
  await database.receive(customerEvent("after_an_outage"), start);
  const late = after(start, minutes(60 * 24 * 3));
  await retry(database, late);
  expect(await retry(database, late)).toBe(0);
  const failure = await failureOf(database, "evt_after_an_outage");
  expect(failure).toMatchObject({ attempts: 2, last_failed_at: late });
  expect(failure?.next_attempt_at?.getTime()).toBeGreaterThanOrEqual(after(late, minutes(5)).getTime());
});

test("one run tries no more than it is told to, the longest waiting first", async () => {
  const other = await createTestDatabase();
  try {
    await installHandler(other);
    await breakHandler(other, { customer: "*", sqlstate: "AP001" });
    for (const [name, minute] of [
      ["third", 20],
      ["first", 0],
      ["second", 10],
    ] as const) {
      await other.receive(customerEvent(name), after(start, minutes(minute)));
    }
    expect(await retry(other, after(start, minutes(60)), 2)).toBe(2);
    const tried =
      await other.sql`select event_id from billing.failed_webhooks where attempts = 2 order by event_id`;
    expect(tried.map((row) => row.event_id)).toEqual(["evt_first", "evt_second"]);
  } finally {
    await other.drop();
  }
});
