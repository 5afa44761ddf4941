import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { chase } from "../../support/delivering.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import { NOTICE } from "./overdue.ts";

const CASES = 200;
const RUNS = 40;

it(`${RUNS} runs at once over ${CASES} cases that are due: ${CASES} mails, one each`, {
  timeout: 180_000,
}, async () => {
  const world = await DunningWorld.open();
  try {
    const needed = new Set(["customer.created", "customer.subscription.created", "invoice.payment_failed"]);
    world.arrives = ({ type }) => needed.has(type);
    const people: Subscriber[] = [];
    for (let person = 0; person < CASES; person++) people.push(await world.subscribe());
    for (const person of people) await world.breakCard(person);
    const { deliver } = world;
    world.deliver = async () => {};
    await world.renew(people[0] as Subscriber);
    world.deliver = deliver;
    const [due] = await world.database
      .sql`select count(*)::int from billing.dunning_cases where status = 'open'`;
    expect(due?.count).toBe(CASES);

    const api = world.database.connect({ role: "authenticator", connections: 12 });
    const database: TestDatabase = {
      ...world.database,
      asService: async (work) =>
        (
          await api.begin(async (sql) => {
            await sql`select set_config('role', 'service_role', true)`;
            return { result: await work(sql) };
          })
        ).result,
    };
    await Promise.all(Array.from({ length: RUNS }, () => chase({ ...world.parts, database }, world.now)));
    await Promise.all(Array.from({ length: 8 }, () => world.deliver({ database })));
    const counted = people.map(({ email }) =>
      world.inbox.ledger.count({ to: email, tags: { template: NOTICE } }),
    );
    expect(counted).toEqual(Array(CASES).fill(1));
    const [steps] = await world.database.sql`
      select count(*)::int as all, count(*) filter (where status = 'sent')::int as sent from billing.dunning_actions`;
    expect(steps).toEqual({ all: CASES, sent: CASES });
    const [runs] = await world.database.sql`
      select count(*)::int as all, count(*) filter (where finished_at is not null and problem is null)::int as well
      from billing.dunning_runs`;
    expect(runs).toEqual({ all: RUNS, well: RUNS });
  } finally {
    await world.close();
  }
});

describe("the daily run", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
    await database.sql`select vault.create_secret('http://functions.test/functions/v1/', 'duebase_functions_url')`;
    await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
    await database.sql`update billing.settings set dunning_hour = 9 where id`;
  });
  beforeEach(async () => {
    await database.sql`delete from net.http_request_queue`;
    await database.sql`truncate billing.dunning_runs, billing.outbox`;
    await database.sql`delete from billing.invoices`;
    await database.sql`insert into billing.invoices (id, status) values ('in_open', 'open')`;
  });
  afterAll(() => database.drop());

  const watch = async (at: string) => {
    const [row] =
      await database.sql`select billing_private.start_missed_dunning_run(${at}::timestamptz) as started`;
    return row?.started;
  };
  const calls = async () => {
    const found = await database.sql<{ url: string; signature: string }[]>`
      select url, headers ->> 'duebase-signature' as signature from net.http_request_queue`;
    return [...found];
  };
  const ran = async (startedAt: string, finishedAt: string | null) => {
    const [row] = await database.asService(
      (sql) => sql`select billing.begin_dunning_run(${startedAt}) as id`,
    );
    if (finishedAt === null) return;
    await database.asService(
      (sql) => sql`select billing.finish_dunning_run(${row?.id}, '{}', null, ${finishedAt})`,
    );
  };
  const alerts = async () =>
    (await database.sql`select payload ->> 'cause' as cause from billing.outbox where kind = 'alert'`).length;

  it("is a call of the function signed with the shared secret", async () => {
    expect(await database.sql`select billing_private.start_dunning() as called`).toMatchObject([
      { called: true },
    ]);
    expect(await calls()).toEqual([
      {
        url: "http://functions.test/functions/v1/duebase-dunning",
        signature: expect.stringMatching(/^t=\d{10},v1=[0-9a-f]{64}$/),
      },
    ]);
  });

  it("says what is missing where it cannot call", async () => {
    await database.sql.begin(async (sql) => {
      await sql`delete from vault.secrets where name = 'duebase_cron_secret'`;
      expect(await sql`select billing_private.start_dunning() as called`).toMatchObject([{ called: false }]);
      expect(await sql`select problem from billing.job_problems where job = 'dunning'`).toMatchObject([
        { problem: expect.stringContaining("duebase_cron_secret") },
      ]);
      await sql`select billing_private.record_job_problem('dunning', null, now())`;
      await sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
    });
  });

  it.each([
    ["in time", "2026-11-05T09:00:01Z", "2026-11-05T09:00:09Z"],
    ["late", "2026-11-05T11:00:00Z", "2026-11-05T11:00:09Z"],
    ["begun before its hour and finished after it", "2026-11-05T08:59:00Z", "2026-11-05T09:01:00Z"],
  ])("is not started again where the day's has finished %s", async (_what, started, finished) => {
    await ran(started, finished);
    for (const at of ["2026-11-05T12:00:00Z", "2026-11-06T08:59:00Z", "2026-11-06T09:14:00Z"]) {
      expect(await watch(at)).toBe(false);
    }
    expect(await calls()).toEqual([]);
    expect(await watch("2026-11-06T09:15:00Z")).toBe(true);
  });

  it("is started by the watchdog a quarter of an hour after its time, and alerted of after two hours", async () => {
    await ran("2026-11-04T09:00:00Z", "2026-11-04T09:00:09Z");
    expect(await watch("2026-11-05T09:14:59Z")).toBe(false);
    expect(await watch("2026-11-05T09:15:00Z")).toBe(true);
    expect(await calls()).toHaveLength(1);
    expect(await alerts()).toBe(0);
    expect(await watch("2026-11-05T11:01:00Z")).toBe(true);
    expect(await watch("2026-11-05T11:02:00Z")).toBe(true);
    expect(await alerts()).toBe(1);
  });

  it("sends no alert on the day of installation, but on the next", async () => {
    const fresh = await createTestDatabase();
    const alerted = async (at: string) => {
      await fresh.sql`select billing_private.start_missed_dunning_run(${at}::timestamptz)`;
      const [row] = await fresh.sql`
        select count(*)::int as alerts from billing.outbox where dedupe_key like 'alert:dunning_did_not_run:%'`;
      return row?.alerts;
    };
    await fresh.sql`insert into billing.invoices (id, customer, status) values ('in_new', 'cus_new', 'open')`;
    await fresh.sql`
      insert into billing.dunning_cases (subject_id, customer, policy_id, status, anchor_at, ladder_from, amount_due, opened_at)
      select 'in_new', 'cus_new', p.id, 'open', '2026-11-05T08:00:00Z', '2026-11-05T08:00:00Z', 900, '2026-11-05T15:00:00Z'
      from billing.dunning_policies as p`;
    expect(await alerted("2026-11-05T16:00:00Z")).toBe(0);
    expect(await alerted("2026-11-06T11:01:00Z")).toBe(1);
    await fresh.drop();
  });

  it("is left alone for ten minutes while one is under way, and then given up", async () => {
    await ran("2026-11-05T09:20:00Z", null);
    expect(await watch("2026-11-05T09:29:00Z")).toBe(false);
    expect(await watch("2026-11-05T09:31:00Z")).toBe(true);
  });

  it("is not missed before there is anything to pay", async () => {
    await database.sql`delete from billing.invoices`;
    expect(await watch("2026-11-05T20:00:00Z")).toBe(false);
  });

  it("follows the hour in settings", async () => {
    await database.sql`update billing.settings set dunning_hour = 17 where id`;
    const jobs = await database.sql`select schedule, command from cron.job where jobname = 'duebase-dunning'`;
    expect(jobs).toMatchObject([
      { schedule: "0 17 * * *", command: "select billing_private.start_dunning()" },
    ]);
    expect(await watch("2026-11-05T16:00:00Z")).toBe(true);
    await ran("2026-11-04T17:00:00Z", "2026-11-04T17:00:10Z");
    expect(await watch("2026-11-05T17:10:00Z")).toBe(false);
    expect(await watch("2026-11-05T17:15:00Z")).toBe(true);
    await database.sql`update billing.settings set dunning_hour = 9 where id`;
  });

  it("is reported once", async () => {
    const [run] = await database.asService(
      (sql) => sql`select billing.begin_dunning_run('2026-11-05T09:00:00Z') as id`,
    );
    const finish = (id: unknown) =>
      database.asService(
        (sql) =>
          sql`select billing.finish_dunning_run(${id as number}, '{"mails": 2}', null, '2026-11-05T09:01:00Z') as done`,
      );
    expect(await finish(run?.id)).toMatchObject([{ done: true }]);
    expect(await finish(run?.id)).toMatchObject([{ done: false }]);
    expect(await finish(999_999)).toMatchObject([{ done: false }]);
  });
});
