import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await database.sql`truncate billing.outbox`;
  await database.sql`delete from net.http_request_queue`;
  await database.sql`delete from vault.secrets where true`;
});
afterAll(() => database.drop());

async function configure() {
  await database.sql`select vault.create_secret('http://functions.test/functions/v1/', 'duebase_functions_url')`;
  await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
}
function calls() {
  return database.sql`
    select url, method, headers ->> 'duebase-signature' as signature, timeout_milliseconds as timeout
    from net.http_request_queue
  `;
}
async function tick(now = new Date()) {
  const [row] = await database.sql`select billing_private.wake_deliver(${now}) as called`;
  return row?.called as boolean;
}

describe("deliver is called", () => {
  it("signed when something is enqueued, once a transaction", async () => {
    await configure();
    await database.sql.begin(async (sql) => {
      await sql`select billing_private.enqueue('alert', 'alert:1', '{}', now())`;
      await sql`select billing_private.enqueue('alert', 'alert:2', '{}', now())`;
    });
    expect(await calls()).toEqual([
      {
        url: "http://functions.test/functions/v1/duebase-deliver",
        method: "POST",
        signature: expect.stringMatching(/^t=\d{10},v1=[0-9a-f]{64}$/),
        timeout: 2000,
      },
    ]);
    await database.sql`select billing_private.enqueue('alert', 'alert:3', '{}', now())`;
    expect(await calls()).toHaveLength(2);
  });

  it("not for what is due later, enqueued already, or rolled back", async () => {
    await configure();
    await database.sql`select billing_private.enqueue('alert', 'alert:4', '{}', now(), now() + interval '1 hour')`;
    await database.sql`select billing_private.enqueue('alert', 'alert:4', '{}', now())`;
    await database.sql
      .begin(async (sql) => {
        await sql`select billing_private.enqueue('alert', 'alert:5', '{}', now())`;
        throw new Error("rolled back");
      })
      .catch(() => {});
    expect(await calls()).toEqual([]);
  });

  it("by the minute tick while something is due, and only then", async () => {
    await configure();
    await database.sql`select billing_private.enqueue('alert', 'alert:6', '{}', now(), now() + interval '1 hour')`;
    expect(await tick()).toBe(false);
    expect(await calls()).toEqual([]);
    expect(await tick(new Date(Date.now() + 3_600_000 + 1000))).toBe(true);
    expect(await calls()).toHaveLength(1);
  });

  it("by the tick for a lease that has ended", async () => {
    await configure();
    await database.sql`select billing_private.enqueue('alert', 'alert:7', '{}', now())`;
    await database.sql`select from billing.claim_outbox('w', 10, '1 minute')`;
    expect(await tick()).toBe(false);
    expect(await tick(new Date(Date.now() + 61_000))).toBe(true);
  });
});

describe("without its secrets in Vault", () => {
  it("what is enqueued is kept, and job_problems says what is missing until it is there", async () => {
    await database.sql`select billing_private.enqueue('alert', 'alert:8', '{}', now())`;
    expect(await calls()).toEqual([]);
    for (let times = 0; times < 2; times++) expect(await tick()).toBe(false);
    const problems = await database.asService((sql) => sql`select job, problem from billing.job_problems`);
    expect(problems).toEqual([{ job: "deliver", problem: expect.stringContaining("duebase_functions_url") }]);

    await configure();
    expect(await tick()).toBe(true);
    expect(await database.sql`select * from billing.job_problems`).toEqual([]);
  });

  it("and without pg_net answering, the transaction that enqueues commits all the same", async () => {
    await configure();
    const admin = database.connect({ role: "supabase_admin" });
    await admin`alter table net.http_request_queue rename to elsewhere`;
    try {
      await database.sql`select billing_private.enqueue('alert', 'alert:9', '{}', now())`;
    } finally {
      await admin`alter table net.elsewhere rename to http_request_queue`;
    }
    expect(await database.sql`select dedupe_key from billing.outbox`).toEqual([{ dedupe_key: "alert:9" }]);
  });
});

describe("with an address that pg_net refuses", () => {
  it.each([
    ["functions.example.com/functions/v1", "https://"],
    ["ftp://functions.example.com", "https://"],
    ["https:///functions/v1", "https://"],
    ["https://functions.example.com:port/functions/v1", "Port number"],
    ["https://functions example.com", "Malformed"],
  ])(
    "%s: what is enqueued is kept, the alert of the same transaction too, and job_problems says why",
    async (url, said) => {
      await database.sql`select vault.create_secret(${url}, 'duebase_functions_url')`;
      await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
      await database.sql`select billing_private.enqueue('email', 'mail:refused', '{}', now())`;
      expect(await tick()).toBe(false);
      const problems = await database.asService((sql) => sql`select job, problem from billing.job_problems`);
      expect(problems).toEqual([{ job: "deliver", problem: expect.stringContaining(said) }]);
      expect(problems[0]?.problem).not.toContain("cron-secret-example");

      // The watchdog of the daily run alerts and calls in one transaction.
      await database.sql`insert into billing.invoices (id, status) values ('in_open', 'open') on conflict do nothing`;
      await database.sql`
      insert into billing.dunning_runs (started_at, as_of) select now() - interval '5 days', now() - interval '5 days' where not exists (select from billing.dunning_runs)
    `;
      await database.sql`
      select billing_private.start_missed_dunning_run(date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' + interval '3 days 12 hours')
    `;
      const alerts =
        await database.sql`select payload ->> 'cause' as cause from billing.outbox where kind = 'alert'`;
      expect(alerts).toEqual([{ cause: "dunning_did_not_run" }]);
      expect(await calls()).toEqual([]);
      await database.sql`delete from billing.job_problems where true`;
    },
  );
});

it("both are parts of the tick under their names", async () => {
  const parts = await database.sql`
    select part, runs_every::text from billing.tick_parts where part like '%outbox' or part = 'wake-deliver' order by 1`;
  expect(parts).toEqual([
    { part: "purge-outbox", runs_every: "01:00:00" },
    { part: "wake-deliver", runs_every: "00:01:00" },
  ]);
});
