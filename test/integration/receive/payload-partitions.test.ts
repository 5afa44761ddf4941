import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { customerEvent, untilSomebodyWaits } from "../retries/handlers.ts";

// A missing partition is never an error: events are stored and projected without one.

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

/** The months that have a partition, as YYYY_MM. */
async function months(): Promise<string[]> {
  const rows = await database.sql<{ month: string }[]>`
    select right(c.relname, 7) as month
    from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'billing_private.webhook_payloads'::regclass and c.relname ~ '[0-9]$'
    order by 1`;
  return rows.map(({ month }) => month);
}

async function make(at: string): Promise<number> {
  const [row] = await database.sql<{ made: number }[]>`
    select billing_private.make_payload_partitions(${at}::timestamptz) as made`;
  return row?.made ?? -1;
}

/** Where a payload is kept: the partition's name. */
async function placeOf(event: string): Promise<string[]> {
  const rows = await database.sql<{ place: string }[]>`
    select tableoid::regclass::text as place from billing_private.webhook_payloads where event_id = ${event}`;
  return rows.map(({ place }) => place.replace("billing_private.", ""));
}

const alerts = () =>
  database.sql<{ detail: object }[]>`
    select payload - 'since' as detail from billing.outbox where payload ->> 'cause' = 'payloads_without_partition'`;

test("this month and the next three have a partition from the start", async () => {
  const [row] = await database.sql<{ expected: string[] }[]>`
    select array_agg(to_char(now() at time zone 'UTC' + make_interval(months => n), 'YYYY_MM') order by n) as expected
    from generate_series(0, 3) as n`;
  expect(await months()).toEqual(row?.expected);
});

test("each run makes what is missing of this month and the next three, across the year's end, and nothing twice", async () => {
  const before = await months();
  expect(await make("2031-11-30T23:59:59Z")).toBe(4);
  expect((await months()).filter((month) => !before.includes(month))).toEqual([
    "2031_11",
    "2031_12",
    "2032_01",
    "2032_02",
  ]);
  expect(await make("2031-11-30T23:59:59Z")).toBe(0);
  expect(await make("2031-12-01T00:00:00Z")).toBe(1);
});

test("a month begins at midnight UTC, whatever the session's time zone is", async () => {
  await database.sql.begin(async (sql) => {
    await sql`set local timezone = 'America/Los_Angeles'`;
    await sql`select billing_private.make_payload_partitions('2031-12-01T00:00:00Z')`;
  });
  await database.receive(customerEvent("eve"), new Date("2031-11-30T23:59:59.999Z"));
  await database.receive(customerEvent("morning"), new Date("2031-12-01T00:00:00Z"));
  expect(await placeOf("evt_eve")).toEqual(["webhook_payloads_default"]);
  expect(await placeOf("evt_morning")).toEqual(["webhook_payloads_2031_12"]);
});

test("an event that finds no partition is stored and projected; then the operator is told, and it is moved", async () => {
  for (const month of await months())
    await database.sql.unsafe(`drop table billing_private.webhook_payloads_${month}`);
  expect(await database.receive(customerEvent("late"), new Date("2031-06-15T12:00:00Z"))).toBe("processed");
  expect(await database.receive(customerEvent("late"), new Date("2031-06-15T12:00:01Z"))).toBe("duplicate");
  expect(await database.sql`select id, email from billing.customers`).toEqual([
    { id: "cus_late", email: "late@example.com" },
  ]);
  expect(await placeOf("evt_late")).toEqual(["webhook_payloads_default"]);
  expect(await alerts()).toEqual([]);

  // The partition of the month it came in is made although that month is over.
  expect(await make("2031-07-01T00:00:00Z")).toBe(5);
  expect(await alerts()).toEqual([{ detail: { cause: "payloads_without_partition", rows: 1 } }]);
  expect(await placeOf("evt_late")).toEqual(["webhook_payloads_2031_06"]);
  const [event] =
    await database.sql`select payload ->> 'id' as id from billing.stripe_events where id = 'evt_late'`;
  expect(event).toEqual({ id: "evt_late" });
  const [projected] =
    await database.sql`select count(*)::int as times from billing.audit_events where event_id = 'evt_late'`;
  expect(projected, "moving is not receiving").toEqual({ times: 1 });

  expect(await make("2031-07-01T02:00:00Z")).toBe(0);
  expect(await alerts(), "it is told once").toHaveLength(1);
});

test("more than can be moved at once stays where it is, and holds up no other month", async () => {
  await database.sql.unsafe(`
    set session_replication_role = replica;
    insert into billing_private.webhook_payloads (event_id, received_at, payload)
    select 'evt_' || n, '2031-06-15T12:00:00Z', '{}' from generate_series(1, 10001) as n;
    set session_replication_role = origin`);
  expect(await make("2031-06-15T13:00:00Z")).toBe(3);
  expect((await months()).filter((month) => month.startsWith("2031"))).toEqual([
    "2031_07",
    "2031_08",
    "2031_09",
  ]);
  expect(await database.receive(customerEvent("one_more"), new Date("2031-06-15T14:00:00Z"))).toBe(
    "processed",
  );
});

test("a reader that holds the table delays it for a second at most, and the next run makes up for it", async () => {
  const reader = database.connect();
  await reader`begin`;
  await reader`select count(*) from billing_private.webhook_payloads`;
  const startedAt = performance.now();
  expect(await make("2031-11-30T00:00:00Z")).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  await reader`commit`;
  expect(await make("2031-11-30T00:00:00Z")).toBe(4);
});

test("a run beside another one leaves the work to it: neither waits for what the other holds", async () => {
  await database.receive(customerEvent("stray"), new Date("2031-06-15T12:00:00Z"));
  const writer = database.connect();
  const operator = database.connect();
  await writer`begin`;
  await writer`lock table billing_private.webhook_payloads_default in row exclusive mode`;
  const first = make("2031-06-15T13:00:00Z");
  await untilSomebodyWaits(database);
  const [second] = await operator<{ made: number }[]>`
    select billing_private.make_payload_partitions('2031-06-15T13:00:00Z') as made`;
  expect(second).toEqual({ made: 0 });
  await writer`commit`;
  expect(await first).toBe(4);
});

test("a run beside a drop leaves the work to the next one: each would wait for what the other holds", async () => {
  await database.receive(customerEvent("stray"), new Date("2031-06-15T12:00:00Z"));
  const purge = database.connect();
  await purge`begin`;
  await purge`select billing_private.drop_payloads('2031-05-01T00:00:00Z', '2031-06-15T13:00:00Z')`;
  expect(await make("2031-06-15T13:00:00Z")).toBe(0);
  await purge`commit`;
  expect(await make("2031-06-15T14:00:00Z")).toBe(4);
});

test("an event is read from its own month alone", async () => {
  await make("2031-01-01T00:00:00Z");
  await database.receive(customerEvent("one"), new Date("2031-02-03T00:00:00Z"));
  const plan = await database.sql.begin(async (sql) => {
    await sql`set local enable_seqscan = off`;
    return sql.unsafe<{ "QUERY PLAN": string }[]>(
      "explain (analyze, costs off, timing off) select payload from billing.stripe_events where id = 'evt_one'",
    );
  });
  const lines = plan.map((row) => row["QUERY PLAN"]);
  const scanned = lines.filter(
    (line) =>
      / on webhook_payloads_\w+/.test(line) &&
      !lines.includes("never executed") &&
      !line.includes("never executed"),
  );
  expect(scanned).toHaveLength(1);
  expect(scanned[0]).toContain("webhook_payloads_2031_02");
});
