import { setTimeout as delay } from "node:timers/promises";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../support/debian-postgres.ts";

const missing = debianPostgresMissing();

/** pg_cron starts jobs at full minutes; a few seconds more for a machine that is busy. */
const tickMs = 75_000;

describe.skipIf(missing)(`the real pg_cron${missing ? `: ${missing}` : ""}`, () => {
  let server: DebianPostgres;
  let sql: Sql;
  let hourly: unknown;

  beforeAll(async () => {
    server = await startDebianPostgres();
    sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(`
      create schema app;
      create table app.broken (customer_id text primary key);
      create table app.welcomed (customer_id text primary key, times integer not null default 1);
      create function app.welcome(p_event billing.stripe_events) returns void language plpgsql as $$
      begin
        insert into app.welcomed as w (customer_id) values (p_event.object_id)
        on conflict (customer_id) do update set times = w.times + 1;
        if exists (select from app.broken as b where b.customer_id = p_event.object_id) then
          raise exception 'cannot welcome %', p_event.object_id;
        end if;
      end;
      $$;
      insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.welcome');
      insert into app.broken values ('cus_early'), ('cus_late'), ('cus_mended'), ('cus_waiting');
    `);
    for (const name of ["early", "late", "mended", "waiting", "fine"]) await receive(name);
    // The daily run, due every minute; its command stays what it was scheduled with.
    await sql`select vault.create_secret('http://functions.test/functions/v1', 'duebase_functions_url')`;
    await sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
    await sql`update billing.settings set dunning_hour = 17 where id`;
    hourly = await sql`select schedule from cron.job where jobname = 'duebase-dunning'`;
    await sql`select cron.alter_job(jobid, schedule => '* * * * *') from cron.job where jobname = 'duebase-dunning'`;
  });
  afterAll(async () => {
    await sql?.end();
    await server?.remove();
  });

  async function receive(name: string): Promise<void> {
    const event = {
      id: `evt_${name}`,
      object: "event",
      type: "customer.created",
      created: 1_790_000_000,
      livemode: false,
      data: { object: { id: `cus_${name}`, object: "customer", email: `${name}@example.com` } },
    };
    await sql`select billing.receive_event(${sql.json(event)})`;
  }

  async function failures(): Promise<Record<string, string>> {
    const rows = await sql<{ event_id: string; state: string }[]>`
      select event_id, status || ' after ' || attempts as state from billing.failed_webhooks
    `;
    return Object.fromEntries(rows.map((row) => [row.event_id, row.state]));
  }

  test("keeps the events whose handler raised, and leaves the others alone", async () => {
    const once = "retrying after 1";
    expect(await failures()).toEqual({
      evt_early: once,
      evt_late: once,
      evt_mended: once,
      evt_waiting: once,
    });
    expect(await sql`select id from billing.customers`).toEqual([{ id: "cus_fine" }]);
    expect(await sql`select customer_id, times from app.welcomed`).toEqual([
      { customer_id: "cus_fine", times: 1 },
    ]);
  });

  test("runs the retry by itself when a next attempt is due", { timeout: tickMs + 30_000 }, async () => {
    // Two retries of one event have gone by, the cause of another is mended, and one's time has not come.
    await sql`update billing.failed_webhooks set attempts = 3 where event_id = 'evt_late'`;
    await sql`delete from app.broken where customer_id = 'cus_mended'`;
    await sql`
      update billing.failed_webhooks
      set next_attempt_at = case event_id when 'evt_waiting' then now() + interval '1 hour' else now() end
    `;
    const deadline = Date.now() + tickMs;
    const due = () => sql`
      select event_id from billing.failed_webhooks where status = 'retrying' and next_attempt_at <= now()
    `;
    while ((await due()).length > 0) {
      if (Date.now() > deadline) throw new Error(`not all retried within ${tickMs} ms: ${await runs()}`);
      await delay(200);
    }
    expect(await failures()).toEqual({
      evt_early: "retrying after 2",
      evt_late: "dead after 4",
      evt_mended: "resolved after 1",
      evt_waiting: "retrying after 1",
    });
    expect(await sql`select id from billing.customers order by id`).toEqual([
      { id: "cus_fine" },
      { id: "cus_mended" },
    ]);
    expect(await sql`select kind, status, payload->>'event_id' as event_id from billing.outbox`).toEqual([
      { kind: "alert", status: "pending", event_id: "evt_late" },
    ]);
  });

  test("records the tick as done, by the owner of the tables, and what each part of it did", {
    timeout: 20_000,
  }, async () => {
    const deadline = Date.now() + 15_000;
    const ended = () => sql`
      select distinct d.command = j.command as as_scheduled, d.username, d.status
      from cron.job_run_details as d
      join cron.job as j using (jobid)
      where d.end_time is not null and j.jobname = 'duebase-tick'
    `;
    while ((await ended()).length < 1 && Date.now() < deadline) await delay(200);
    expect(await ended()).toEqual([{ as_scheduled: true, username: "postgres", status: "succeeded" }]);
    expect(
      await sql`
        select part, last_count, last_error from billing.tick_parts
        where (last_active_at is not null or last_finished_at is null or last_error is not null)
          and part not in ('hourly-metrics', 'health-counts')
      `,
    ).toEqual([{ part: "retry", last_count: 3, last_error: null }]);
  });

  test("starts the daily run of dunning: the scheduled command itself calls the function", {
    timeout: 20_000,
  }, async () => {
    expect(hourly).toEqual([{ schedule: "0 17 * * *" }]);
    const deadline = Date.now() + 15_000;
    const runsOfDunning = () => sql`
      select d.command, d.username, d.status
      from cron.job_run_details as d
      join cron.job as j using (jobid)
      where d.end_time is not null and j.jobname = 'duebase-dunning'
      order by d.runid
    `;
    while ((await runsOfDunning()).length === 0 && Date.now() < deadline) await delay(200);
    expect((await runsOfDunning())[0]).toEqual({
      command: "select billing_private.start_dunning()",
      username: "postgres",
      status: "succeeded",
    });
    const calls = await sql`
      select method, url, headers ->> 'duebase-signature' as signature
      from net.http_request_queue where url like '%/duebase-dunning' order by id
    `;
    expect(calls[0]).toEqual({
      method: "POST",
      url: "http://functions.test/functions/v1/duebase-dunning",
      signature: expect.stringMatching(/^t=\d{10},v1=[0-9a-f]{64}$/),
    });
  });

  test("leaves the dead to a person: replay after a mend succeeds, and a second one changes nothing", async () => {
    expect(await sql`select billing.replay_failed_webhook('evt_late') as outcome`).toEqual([
      { outcome: "dead" },
    ]);
    await sql`delete from app.broken`;
    expect(await sql`select billing.replay_failed_webhook('evt_late') as outcome`).toEqual([
      { outcome: "processed" },
    ]);
    const state = () => sql`
      select
        (select jsonb_agg(f order by f.event_id) from billing.failed_webhooks as f) as failures,
        (select jsonb_agg(c order by c.id) from billing.customers as c) as customers,
        (select jsonb_agg(w order by w.customer_id) from app.welcomed as w) as welcomed,
        (select jsonb_agg(o order by o.id) from billing.outbox as o) as outbox,
        (select count(*) from billing.audit_events) as facts
    `;
    const before = await state();
    expect((await failures()).evt_late).toBe("resolved after 5");
    expect(await sql`select billing.replay_failed_webhook('evt_late') as outcome`).toEqual([
      { outcome: "processed" },
    ]);
    expect(await state()).toEqual(before);
  });

  async function runs(): Promise<string> {
    return JSON.stringify(await sql`select command, status, return_message from cron.job_run_details`);
  }
});
