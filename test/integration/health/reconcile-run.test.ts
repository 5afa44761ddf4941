import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { reconcile } from "../../../supabase/functions/duebase-reconcile/reconcile.ts";
import { impatientClock, TEST_KEY } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccount } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService } from "../../support/delivering.ts";

// duebase-reconcile answers before it works. That it fails ever again, the health view alone can tell.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let account: StripeAccount;
let database: TestDatabase;
beforeAll(async () => {
  account = await startAccount();
  await account.stripe.customers.create({ email: "ada@example.com" });
});
afterAll(() => account?.close());
beforeEach(async () => {
  account.local.faults.clear();
  database = await createTestDatabase();
  await database.sql`update billing.releases set installed_at = ${later(0)} where true`;
});
afterEach(() => database.drop());

const later = (milliseconds: number) => new Date(account.now().getTime() + milliseconds);

/** A call by the tick, whose failure is nobody's to see. */
async function call(now: Date): Promise<unknown> {
  return await reconcile({
    callBilling: callAsService(database),
    callStripe: connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url }),
    secretKey: TEST_KEY,
    holder: "test",
    clock: impatientClock(),
    now: now.toISOString(),
  }).catch((error: unknown) => error);
}

async function row(now: Date) {
  const [found] = await database.asService(
    (sql) => sql<{ status: string; meaning: string; since: Date | null; cure: string | null }[]>`
      select status, meaning, since, cure from billing.check_health(${now}) where name = 'reconcile-run'`,
  );
  return found;
}

const receive = (now: Date) =>
  database.receive(
    {
      id: "evt_first",
      object: "event",
      type: "customer.created",
      created: Math.floor(now.getTime() / 1000),
      livemode: false,
      data: { object: { id: "cus_first", object: "customer" } },
    },
    now,
  );

async function run(values: {
  kind: string;
  status?: string;
  started: Date;
  ended?: Date;
  problem?: string;
}): Promise<void> {
  const { kind, status = "complete", started, ended = started, problem = null } = values;
  await database.sql`
    insert into billing.history_runs (kind, status, livemode, events_from, started_at, progressed_at, finished_at, problem)
    values (${kind}, ${status}, false, ${started}, ${started}, ${ended}, ${status === "running" ? null : ended}, ${problem})`;
}

test("a key that may read no events any more is told, with the permission, and is red after three hours", async () => {
  await receive(later(0));
  await call(later(HOUR));
  expect(await row(later(2 * HOUR))).toMatchObject({
    status: "green",
    meaning: "Stripe's events were read 60 minutes ago",
  });

  const forbidden = { kind: "forbidden", permission: "rak_event_read" } as const;
  account.local.faults.add({ match: { path: "/v1/events" }, action: forbidden, times: 99 });
  for (let minute = 120; minute <= 245; minute += 5) await call(later(minute * MINUTE));
  // No run has begun that could tell of it.
  expect(await database.sql`select from billing.history_runs where problem is not null`).toEqual([]);
  const amber = await row(later(4 * HOUR - MINUTE));
  expect(amber).toMatchObject({ status: "amber", since: later(2 * HOUR) });
  expect(amber?.meaning).toMatch(/duebase-reconcile failed: .* It lacks rak_event_read: Give/);
  const red = await row(later(4 * HOUR + 5 * MINUTE));
  expect(red).toMatchObject({ status: "red", since: later(HOUR), cure: expect.stringMatching(/doctor/) });
  expect(red?.meaning).toMatch(/events have not been read for 3 hours: .* It lacks rak_event_read: Give/);
  // It has a row of its own.
  const [jobs] =
    await database.sql`select status from billing.check_health(${later(5 * HOUR)}) where name = 'jobs'`;
  expect(jobs).toEqual({ status: "green" });

  account.local.faults.clear();
  await call(later(5 * HOUR));
  expect(await row(later(5 * HOUR))).toMatchObject({ status: "green", since: null });
});

test("an event that cannot be stored is red after three hours, as the run stops at its page each time", async () => {
  await receive(later(0));
  await database.sql.unsafe(`
    create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'cannot be stored'; end $$;
    create trigger refuse before insert on billing.webhook_events for each row execute function public.refuse();
  `);
  for (let minute = 60; minute <= 180; minute += 10) await call(later(minute * MINUTE));
  const red = await row(later(3 * HOUR));
  expect(red).toMatchObject({ status: "red", since: later(0) });
  expect(red?.meaning).toMatch(/events have not been read for 3 hours: ./);
  const [begun] = await database.sql`select problem from billing.history_runs where status = 'running'`;
  expect(red?.meaning).toContain(begun?.problem);
});

test("where it is called and never comes to an end, nobody has to say why", async () => {
  await receive(later(0));
  expect(await row(later(3 * HOUR - MINUTE))).toMatchObject({ status: "green" });
  expect(await row(later(3 * HOUR))).toMatchObject({ status: "red", since: later(0) });
});

test("a comparison is red two days after the last one, and amber while the last one is incomplete", async () => {
  const problem = "1 objects could not be applied: see billing.history_problems";
  await run({ kind: "comparison", status: "incomplete", started: later(0), problem });
  await run({ kind: "events", started: later(DAY) });
  const amber = await row(later(DAY));
  expect(amber).toMatchObject({ status: "amber", meaning: expect.stringContaining(problem) });
  await run({ kind: "events", started: later(2 * DAY) });
  expect(await row(later(2 * DAY))).toMatchObject({ status: "red", since: later(0) });
  await run({ kind: "comparison", started: later(2 * DAY) });
  expect(await row(later(2 * DAY))).toMatchObject({ status: "green" });
});

test("what a terminal has done since a failure is no failure any more", async () => {
  await receive(later(0));
  account.local.faults.add({
    match: { path: "/v1/events" },
    action: { kind: "forbidden", permission: "rak_event_read" },
    times: 1,
  });
  await call(later(HOUR));
  expect(await row(later(HOUR))).toMatchObject({ status: "amber" });
  await run({ kind: "events", started: later(HOUR + MINUTE) });
  expect(await row(later(HOUR + MINUTE))).toMatchObject({ status: "green" });
});

test("a project that Stripe has told nothing, that is new, or restored, is not late", async () => {
  expect(await row(later(30 * DAY))).toMatchObject({ status: "green" });
  await receive(later(0));
  await database.sql`update billing.releases set installed_at = ${later(30 * DAY)} where true`;
  expect(await row(later(30 * DAY + HOUR))).toMatchObject({ status: "green" });
  await database.sql`insert into billing.restores (backup_at, restored_at) values (${later(30 * DAY)}, ${later(40 * DAY)})`;
  expect(await row(later(40 * DAY + HOUR))).toMatchObject({ status: "green" });
});

test("a first backfill is waited for; a later one only as long as it comes further", async () => {
  await receive(later(0));
  await run({ kind: "backfill", status: "running", started: later(0), ended: later(10 * DAY) });
  // Nobody else reads while a terminal does.
  expect(await row(later(10 * DAY + HOUR))).toMatchObject({ status: "green" });
  await database.sql`update billing.history_runs set problem = 'stuck' where true`;
  await run({ kind: "events", started: later(20 * DAY) });
  expect(await row(later(20 * DAY))).toMatchObject({ status: "green" });

  await database.sql`
    update billing.history_runs set status = 'complete', problem = null, finished_at = ${later(20 * DAY)} where kind = 'backfill'`;
  expect(await row(later(20 * DAY))).toMatchObject({ status: "green" });
  await run({ kind: "backfill", status: "running", started: later(21 * DAY), problem: "stuck again" });
  await run({ kind: "events", started: later(22 * DAY) });
  const red = await row(later(22 * DAY));
  expect(red).toMatchObject({
    status: "red",
    meaning: expect.stringMatching(/compared .* 2 days: stuck again/),
  });
});
