import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { breakHandler, customerEvent, failureOf, installHandler } from "../retries/handlers.ts";

// What is old goes by itself, as settings say; records go in no other way.

const received = new Date("2031-01-10T12:00:00Z");
const daysLater = (days: number) => new Date(received.getTime() + days * 86_400_000);

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
  await database.sql`select billing_private.make_payload_partitions(${received})`;
});
afterEach(() => database.drop());

const product = (name: string) => ({
  id: `evt_${name}`,
  object: "event",
  type: "product.created",
  created: 1_790_000_000,
  livemode: false,
  data: { object: { id: `prod_${name}`, object: "product", name, active: true } },
});

const subscription = (name: string, status: string) => ({
  id: `evt_${name}`,
  object: "event",
  type: "customer.subscription.updated",
  created: 1_790_000_000,
  livemode: false,
  data: {
    object: {
      id: `sub_${name}`,
      object: "subscription",
      customer: "cus_1",
      status,
      items: { object: "list", data: [] },
    },
  },
});

/** Runs a purge until it finds nothing, each time in a transaction of its own; returns how much went. */
async function purge(name: string, now: Date, limit?: number): Promise<number> {
  let total = 0;
  for (;;) {
    const argument = limit === undefined ? "" : `, ${limit}`;
    const [row] = await database.sql.unsafe<{ removed: number | null }[]>(
      `select billing_private.purge_${name}('${now.toISOString()}'${argument})::integer as removed`,
    );
    if (!row?.removed) return total;
    total += row.removed;
  }
}

const purged = () =>
  database.sql`select relation, removed::integer from billing.purges where removed > 0 order by id`;

const ids = async (table: string): Promise<string[]> =>
  (await database.sql.unsafe<{ id: string }[]>(`select id::text from ${table} order by id`)).map(
    ({ id }) => id,
  );

describe("the ledger of events", () => {
  it("forgets after 400 days what nothing needs, and says how many in a row of purges", async () => {
    for (const name of ["one", "two", "three"]) await database.receive(product(name), received);
    expect(await purge("payloads", daysLater(399))).toBeGreaterThan(0);
    expect(await ids("billing.stripe_events where payload is not null")).toEqual([]);
    expect(await purge("events", daysLater(399))).toBe(0);
    expect(await purge("events", daysLater(401), 2)).toBe(3);
    expect(await ids("billing.webhook_events")).toEqual([]);
    expect(await ids("billing.products")).toEqual(["prod_one", "prod_three", "prod_two"]);
    expect(await purged()).toEqual([
      { relation: "billing.webhook_events", removed: 2 },
      { relation: "billing.webhook_events", removed: 1 },
    ]);
  });

  it("keeps an event whose payload is there, or whose subscription goes on, and takes one that has ended", async () => {
    await database.receive(subscription("on", "active"), received);
    await database.receive(subscription("over", "canceled"), received);
    expect(await purge("events", daysLater(500))).toBe(0);
    await purge("payloads", daysLater(500));
    expect(await purge("events", daysLater(500))).toBe(1);
    expect(await ids("billing.webhook_events")).toEqual(["evt_on"]);
  });

  it("keeps a failure that is open, and goes with one that is resolved", async () => {
    await installHandler(database);
    await breakHandler(database, { customer: "*", sqlstate: "AP001" });
    await database.receive(customerEvent("open"), received);
    await database.receive(customerEvent("done"), received);
    expect(await failureOf(database, "evt_done")).toBeDefined();
    await database.sql`
      update billing.failed_webhooks
      set status = 'resolved', next_attempt_at = null, resolved_at = ${received} where event_id = 'evt_done'`;
    await purge("payloads", daysLater(500));
    await purge("events", daysLater(500));
    expect(await ids("billing.webhook_events")).toContain("evt_open");
    expect(await ids("billing.webhook_events")).not.toContain("evt_done");
    expect(await failureOf(database, "evt_open")).toBeDefined();
  });

  it("knows a repetition for as long as Stripe sends one", async () => {
    await database.receive(product("one"), received);
    await purge("payloads", daysLater(399));
    await purge("events", daysLater(399));
    expect(await database.receive(product("one"), daysLater(399))).toBe("duplicate");
  });
});

describe("records", () => {
  it.each(["webhook_events", "webhook_duplicates", "audit_events", "purges"])(
    "of billing.%s cannot be deleted, changed or emptied by hand",
    async (table) => {
      await database.receive(product("one"), received);
      await database.receive(product("one"), received);
      await database.sql`insert into billing.purges (relation, purged_before, removed, purged_at)
        values ('billing.products', ${received}, 1, ${received})`;
      const column = table === "audit_events" ? "action" : table === "purges" ? "relation" : "received_at";
      for (const statement of [
        `delete from billing.${table} where true`,
        `update billing.${table} set ${column} = ${column} where true`,
        `truncate billing.${table} cascade`,
      ]) {
        await expect(database.sql.unsafe(statement)).rejects.toMatchObject({ code: "DU004" });
      }
    },
  );

  it("can be deleted in the transaction that says so, and in no later one", async () => {
    await database.receive(product("one"), received);
    await database.receive(product("one"), received);
    await database.receive(product("one"), received);
    expect(await purge("duplicates", daysLater(89))).toBe(0);
    expect(await purge("duplicates", daysLater(91), 1)).toBe(2);
    expect(await purged()).toEqual([
      { relation: "billing.webhook_duplicates", removed: 1 },
      { relation: "billing.webhook_duplicates", removed: 1 },
    ]);
    await expect(database.sql`delete from billing.webhook_events where true`).rejects.toMatchObject({
      code: "DU004",
    });
  });

  it("of the audit trail go after ten years, and do not depend on payloads that went before", async () => {
    await database.receive(subscription("one", "active"), received);
    const facts = () => database.sql<{ action: string }[]>`select action from billing.audit_events`;
    const before = await facts();
    expect(before.length).toBeGreaterThan(0);
    await database.sql`update billing.settings set keep_payloads_days = 35 where id`;
    await purge("payloads", daysLater(80));
    expect(await facts()).toEqual(expect.arrayContaining(before));
    // Rows are recorded by the clock of the server.
    const tenYears = (more: number) => new Date(Date.now() + (10 * 365.25 + more) * 86_400_000);
    expect(await purge("audit", tenYears(-30))).toBe(0);
    expect(await purge("audit", tenYears(30))).toBeGreaterThan(0);
    expect(await facts()).toEqual([]);
  });
});

describe("emails", () => {
  it("lose their text after 400 days and keep the rest, but not while their effect may be replayed", async () => {
    for (const [name, status] of [
      ["gone", "delivered"],
      ["dead", "dead"],
    ])
      await database.sql`
        with effect as (
          insert into billing.outbox (kind, dedupe_key, status, run_after, created_at, finished_at)
          values ('email', ${name ?? ""}, ${status ?? ""}, ${received}, ${received}, ${received}) returning id
        )
        insert into billing.emails
          (outbox_id, dedupe_key, template, from_address, to_address, locale, subject, html, text, status_at, created_at)
        select id, ${name ?? ""}, 'payment-receipt', 'a@example.com', 'b@example.com', 'en', 'Receipt', '<p>1</p>', '1',
          ${received}, ${received} from effect`;
    await database.sql`select billing_private.purge_outbox(${daysLater(401)})`;
    expect(await purge("email_bodies", daysLater(399))).toBe(0);
    expect(await purge("email_bodies", daysLater(401))).toBe(1);
    const rows =
      await database.sql`select dedupe_key, subject, html, text from billing.emails order by dedupe_key`;
    expect(rows).toEqual([
      { dedupe_key: "dead", subject: "Receipt", html: "<p>1</p>", text: "1" },
      { dedupe_key: "gone", subject: "Receipt", html: "", text: "" },
    ]);
  });

  it("lose Resend's reports with it, and keep the state that these told", async () => {
    await database.sql`
      insert into billing.resend_events (id, type, resend_id, created_at, received_at)
      values ('msg_1', 'email.sent', 're_1', ${received}, ${received})`;
    expect(await purge("email_reports", daysLater(399))).toBe(0);
    expect(await purge("email_reports", daysLater(401))).toBe(1);
  });
});

describe("what runs have found", () => {
  const begun = (kind: string, days: number, status = "complete") =>
    database.sql`
      insert into billing.history_runs (kind, status, livemode, events_from, started_at, progressed_at, finished_at)
      values (${kind}, ${status}, false, ${daysLater(days)}, ${daysLater(days)}, ${daysLater(days)}, ${daysLater(days)})`;

  it("goes after 400 days with the runs that found it, and says so; the last run of a kind and backfills stay", async () => {
    await begun("backfill", 0);
    await begun("comparison", 0);
    await begun("comparison", 10);
    await begun("events", 0);
    for (const day of [0, 0, 10])
      await database.sql`
        insert into billing.drift (run_id, object, object_id, field, why, found_at)
        values (${day === 0 ? 2 : 3}, 'invoice', 'in_1', 'status', 'no event told of it', ${daysLater(day)})`;
    await database.sql`
      insert into billing.missed_webhooks (event_id, type, created, found_at, run_id)
      values ('evt_old', 'invoice.paid', ${received}, ${received}, 4), ('evt_new', 'invoice.paid', ${received}, ${daysLater(10)}, 4)`;
    expect(await purge("history", daysLater(399))).toBe(0);
    expect(await purge("history", daysLater(401), 1)).toBe(4);
    expect(await ids("billing.history_runs")).toEqual(["1", "3", "4"]);
    expect(await ids("billing.drift")).toEqual(["3"]);
    expect(await database.sql`select event_id from billing.missed_webhooks`).toEqual([
      { event_id: "evt_new" },
    ]);
    expect(await purged()).toEqual([
      { relation: "billing.drift", removed: 1 },
      { relation: "billing.missed_webhooks", removed: 1 },
      { relation: "billing.drift", removed: 1 },
      { relation: "billing.history_runs", removed: 1 },
    ]);
  });

  it("knows since when something may be missing, however long nothing has been read", async () => {
    await begun("events", 0);
    await purge("history", daysLater(800));
    const [due] =
      await database.sql`select billing.due_history(${daysLater(800)}) ->> 'gap_from' as gap_from`;
    expect(new Date(due?.gap_from)).toEqual(new Date(received.getTime() - 15 * 60_000));
  });
});

describe("settings", () => {
  it.each([
    ["keep_payloads_days", 34, "payloads_are_kept_while_they_are_compared"],
    ["keep_events_days", 395, "events_are_kept_for_13_months"],
    ["keep_payloads_days", 401, "an_event_outlives_its_payload"],
    ["keep_duplicates_days", 29, "duplicates_are_kept_for_a_month"],
    ["keep_outbox_days", 89, "a_dedupe_key_outlives_its_repetitions"],
    ["keep_email_bodies_days", 89, "an_email_is_kept_while_its_effect_is"],
    ["keep_history_days", 29, "what_was_missed_is_kept_for_a_month"],
    ["keep_cron_history_days", 0, "cron_history_is_kept_for_a_day"],
    ["keep_audit_years", 0, "audit_is_kept_for_years"],
  ])("refuse %s = %i", async (column, value, constraint) => {
    await expect(
      database.sql.unsafe(`update billing.settings set ${column} = ${value} where id`),
    ).rejects.toMatchObject({ constraint_name: constraint });
  });
});

it("pg_cron's history of our jobs goes after a week, and that of other jobs stays", async () => {
  await database.sql`select cron.schedule('theirs', '0 3 * * *', 'select 1')`;
  await database.sql`
    insert into cron.job_run_details (jobid, runid, username, status, start_time, end_time)
    select jobid, 1000 + jobid, current_user, 'succeeded', ${received}, ${received} from cron.job`;
  expect(await purge("cron_history", daysLater(6))).toBe(0);
  expect(await purge("cron_history", daysLater(8))).toBe(2);
  const left = await database.sql`
    select j.jobname from cron.job_run_details as d join cron.job as j on j.jobid = d.jobid where d.runid > 1000`;
  expect(left).toEqual([{ jobname: "theirs" }]);
});

it("payloads are not dropped while a person is being forgotten, and are as soon as that is over", async () => {
  await database.receive(customerEvent("anna"), received);
  const user = "00000000-0000-4000-8000-000000000001";
  const session = database.connect();
  await database.sql`insert into auth.users (id, email) values (${user}, 'anna@example.com')`;
  await database.sql`
    select * from billing.link_customers(${database.sql.json([{ customer: "cus_anna", owner_id: user }])})`;
  await session.begin(async (sql) => {
    await sql`select billing.forget_user(${user})`;
    await expect(purge("payloads", daysLater(200))).rejects.toMatchObject({ code: "55P03" });
  });
  await purge("payloads", daysLater(200));
  const kept = await database.sql`select payload::text from billing_private.kept_payloads`;
  expect(kept.map(({ payload }) => payload).join()).not.toContain("anna@example.com");
});
