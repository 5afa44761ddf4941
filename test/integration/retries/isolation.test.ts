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

const customer = (name: string) =>
  database.sql`select email from billing.customers where id = ${`cus_${name}`}`;
const facts = (event: string) =>
  database.sql`select action from billing.audit_events where event_id = ${event}`;

test("an application's handler that fails undoes what ours did, and the retry does all of it", async () => {
  await breakHandler(database, { customer: "cus_undone", sqlstate: "AP001" });
  expect(await database.receive(customerEvent("undone"), start)).toBe("failed");
  expect(await customer("undone")).toEqual([]);
  expect(await facts("evt_undone")).toEqual([]);
  expect(await database.sql`select from app.runs where event_id = 'evt_undone'`).toEqual([]);
  expect(
    await database.sql`select from billing_private.object_versions where object_id = 'cus_undone'`,
  ).toEqual([]);
  expect(await database.sql`select id from billing.webhook_events where id = 'evt_undone'`).toHaveLength(1);
  const failure = await failureOf(database, "evt_undone");
  expect(failure?.error).toMatchObject({
    sqlstate: "AP001",
    message: "the application cannot handle evt_undone",
  });
  expect(failure?.error.context).toContain("app.handle");

  await mendHandler(database);
  expect(await retry(database, after(start, minutes(2)))).toBe(1);
  expect(await customer("undone")).toEqual([{ email: "undone@example.com" }]);
  expect(await facts("evt_undone")).toEqual([{ action: "customer.created" }]);
  expect(await failureOf(database, "evt_undone")).toMatchObject({
    status: "resolved",
    attempts: 1,
    next_attempt_at: null,
    resolved_at: after(start, minutes(2)),
  });
});

test("one poison event among a hundred delays none of them", async () => {
  await breakHandler(database, { customer: "*", sqlstate: "AP001" });
  const names = Array.from({ length: 100 }, (_, number) => `crowd_${number}`);
  for (const name of names) await database.receive(customerEvent(name), start);
  await mendHandler(database);
  await breakHandler(database, { customer: "cus_crowd_0", sqlstate: "AP001" });
  // The poison is first in line.
  await database.sql`
    update billing.failed_webhooks set next_attempt_at = ${start} where event_id = 'evt_crowd_0' and status = 'retrying'
  `;

  expect(await retry(database, after(start, minutes(2)))).toBe(100);
  const left = await database.sql`
    select event_id, status, attempts from billing.failed_webhooks where event_id like 'evt\\_crowd\\_%' and status <> 'resolved'
  `;
  expect(left).toEqual([{ event_id: "evt_crowd_0", status: "retrying", attempts: 2 }]);
  const [projected] =
    await database.sql`select count(*)::int from billing.customers where id like 'cus\\_crowd\\_%'`;
  expect(projected?.count).toBe(99);

  // Its customer's next event does not wait for it either.
  await mendHandler(database);
  expect(
    await database.receive(
      customerEvent("crowd_0", {
        id: "evt_crowd_0_next",
        type: "customer.updated",
        created: 1_790_000_100,
        data: { object: { id: "cus_crowd_0", object: "customer", email: "newer@example.com" } },
      }),
      after(start, minutes(3)),
    ),
  ).toBe("processed");
  expect(await customer("crowd_0")).toEqual([{ email: "newer@example.com" }]);

  // And when it is retried after that one, it does not overwrite what is newer.
  expect(await retry(database, after(start, minutes(10)))).toBe(1);
  expect(await customer("crowd_0")).toEqual([{ email: "newer@example.com" }]);
});

test("a statement that runs out of time inside a handler keeps the event", async () => {
  const session = database.connect();
  // The handler is to use up the time, and not the session's first call: the failure would be a lost race, and not count.
  await session`select billing.receive_event(${session.json(customerEvent("before_slow"))}, ${start})`;
  await breakHandler(database, { customer: "cus_slow", seconds: 30 });
  await session`set statement_timeout = '2s'`;
  const begun = performance.now();
  const event = session.json(customerEvent("slow"));
  expect(await session`select billing.receive_event(${event}, ${start}) as outcome`).toEqual([
    { outcome: "failed" },
  ]);
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(await database.sql`select id from billing.webhook_events where id = 'evt_slow'`).toHaveLength(1);
  expect(await customer("slow")).toEqual([]);
  expect(await failureOf(database, "evt_slow")).toMatchObject({
    status: "retrying",
    attempts: 1,
    error: { sqlstate: "57014" },
  });
});

test("a retry that runs out of time fails that event and goes on with the others", async () => {
  await breakHandler(database, { customer: "*", sqlstate: "AP001" });
  for (const name of ["hangs", "behind_it"]) await database.receive(customerEvent(name), start);
  await mendHandler(database);
  await breakHandler(database, { customer: "cus_hangs", seconds: 30 });
  await database.sql`update billing.failed_webhooks set next_attempt_at = ${start} where event_id = 'evt_hangs'`;

  const session = database.connect();
  await session`set statement_timeout = '3s'`;
  const tryNext = async () => {
    const [row] = await session`
      select billing.retry_failed_webhook(${after(start, minutes(2))}) as was_tried`;
    return row?.was_tried;
  };
  let tried = 0;
  while (await tryNext()) tried++;
  expect(tried).toBeGreaterThanOrEqual(2);
  expect(await failureOf(database, "evt_hangs")).toMatchObject({
    status: "retrying",
    error: { sqlstate: "57014" },
  });
  expect(await failureOf(database, "evt_behind_it")).toMatchObject({ status: "resolved" });
  expect(await customer("behind_it")).toHaveLength(1);
});

test("a handler that cancels on an assertion keeps the event, too", async () => {
  await database.sql.unsafe(`
    create function app.insist(p_event billing.stripe_events) returns void language plpgsql as
    $$ begin assert p_event.object_id <> 'cus_asserted', 'impossible'; end $$;
    insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.insist');
  `);
  expect(await database.receive(customerEvent("asserted"), start)).toBe("failed");
  expect(await failureOf(database, "evt_asserted")).toMatchObject({
    error: { sqlstate: "P0004", message: "impossible" },
  });
});

test("an event that fails while the project changes its mode is not projected into the other mode", async () => {
  const other = await createTestDatabase();
  try {
    await installHandler(other);
    await breakHandler(other, { customer: "*", sqlstate: "AP001" });
    await other.receive(customerEvent("test_money"), start);
    await mendHandler(other);
    await other.sql`update billing.settings set livemode = true`;
    await retry(other, after(start, minutes(2)));
    expect(await other.sql`select id from billing.customers`).toEqual([]);
    expect(await failureOf(other, "evt_test_money")).toMatchObject({
      status: "quarantined",
      next_attempt_at: null,
    });
    await expect(replay(other, "evt_test_money")).rejects.toMatchObject({ code: "DU003" });
  } finally {
    await other.drop();
  }
});
