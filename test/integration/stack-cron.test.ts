import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CronScheduler, startCron } from "../../scripts/local/cron.ts";
import { readSchedule } from "../../scripts/local/cron-schedule.ts";
import {
  type LocalPostgres,
  removePostgresData,
  startPostgres,
} from "../../scripts/local/postgres/server.ts";
import { eventually } from "../support/stack-project.ts";

let directory: string;
let server: LocalPostgres;
let sql: postgres.Sql;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-cron-"));
  server = await startPostgres({ directory, fsync: false });
  sql = postgres(server.url, { max: 4, onnotice: () => {} });
  await sql.unsafe("create extension if not exists pg_cron with schema pg_catalog");
  await sql.unsafe("create table public.ticks (at timestamptz default clock_timestamp(), who text)");
  await sql.unsafe(
    "create role helper login; grant helper to postgres; grant usage on schema cron to helper",
  );
});

afterAll(async () => {
  await sql?.end();
  await server?.stop();
  await removePostgresData(directory);
});

afterEach(async () => {
  await sql`select cron.unschedule(jobid) from cron.job where username = 'postgres'`;
  await sql`delete from cron.job_run_details`;
  await sql`delete from public.ticks`;
});

describe("jobs are kept as pg_cron keeps them", () => {
  test("scheduling a name again changes that job", async () => {
    const [first] = await sql`select cron.schedule('nightly', '0 3 * * *', 'select 1') as jobid`;
    const [second] = await sql`select cron.schedule('nightly', '0 4 * * *', 'select 2') as jobid`;
    expect(second).toEqual(first);
    expect(await sql`select jobname, schedule, command, database, username, active from cron.job`).toEqual([
      {
        jobname: "nightly",
        schedule: "0 4 * * *",
        command: "select 2",
        database: "postgres",
        username: "postgres",
        active: true,
      },
    ]);
  });

  test("scheduling a paused job again leaves it paused", async () => {
    const [{ jobid } = {}] = await sql`select cron.schedule('nightly', '0 3 * * *', 'select 1') as jobid`;
    await sql`select cron.alter_job(${jobid}, active := false)`;
    await sql`select cron.schedule('nightly', '0 4 * * *', 'select 2')`;
    expect(await sql`select schedule, command, active from cron.job`).toEqual([
      { schedule: "0 4 * * *", command: "select 2", active: false },
    ]);
  });

  test("the same name under another role is another job, which that role alone sees and ends", async () => {
    await sql`select cron.schedule('nightly', '0 3 * * *', 'select 1')`;
    const asHelper = <T>(work: (transaction: postgres.TransactionSql) => Promise<T>) =>
      sql.begin(async (transaction) => {
        await transaction.unsafe("set local role helper");
        return { result: await work(transaction) };
      });
    await asHelper((helper) => helper`select cron.schedule('nightly', '0 5 * * *', 'select 3')`);
    const { result } = await asHelper((helper) => helper`select username, schedule from cron.job`);
    expect(result).toEqual([{ username: "helper", schedule: "0 5 * * *" }]);
    await asHelper((helper) => helper`select cron.unschedule('nightly')`);
    expect(await sql`select username from cron.job`).toEqual([{ username: "postgres" }]);
  });

  test("jobs without a name are each their own, and end by their id", async () => {
    await sql`select cron.schedule('* * * * *', 'select 1')`;
    const [{ jobid } = {}] = await sql`select cron.schedule('* * * * *', 'select 1') as jobid`;
    expect(await sql`select from cron.job`).toHaveLength(2);
    expect(await sql`select cron.unschedule(${jobid}::bigint) as done`).toEqual([{ done: true }]);
    expect(await sql`select from cron.job`).toHaveLength(1);
  });

  test("ending a job there is not is an error", async () => {
    await expect(sql`select cron.unschedule('nobody')`).rejects.toThrow(
      "could not find valid entry for job 'nobody'",
    );
  });

  test("cron.alter_job changes what it is given and leaves the rest", async () => {
    const [{ jobid } = {}] = await sql`select cron.schedule('nightly', '0 3 * * *', 'select 1') as jobid`;
    await sql`select cron.alter_job(${jobid}, schedule := '30 seconds', active := false)`;
    expect(await sql`select schedule, command, active from cron.job`).toEqual([
      { schedule: "30 seconds", command: "select 1", active: false },
    ]);
  });

  test.each([
    "",
    "* * * *",
    "61 * * * *",
    "* 24 * * *",
    "a * * * *",
    "0 seconds",
    "60 seconds",
    "* * * * * *",
  ])("'%s' is no schedule", async (schedule) => {
    await expect(sql`select cron.schedule('bad', ${schedule}, 'select 1')`).rejects.toMatchObject({
      code: "22023",
    });
  });

  test.each(["* * * * *", "*/5 0-6 1,15 jan-mar mon", "0 0 $ * *", "5 seconds", "1 second"])(
    "'%s' is a schedule, to the database and to the scheduler",
    async (schedule) => {
      await sql`select cron.schedule('good', ${schedule}, 'select 1')`;
      expect(() => readSchedule(schedule)).not.toThrow();
    },
  );

  test("the table itself is closed: jobs change through the functions only", async () => {
    await expect(
      sql`insert into cron.job (schedule, command) values ('* * * * *', 'x')`,
    ).rejects.toMatchObject({
      code: "42501",
    });
    await expect(sql`update cron.job set active = false`).rejects.toMatchObject({ code: "42501" });
  });
});

describe("the scheduler", () => {
  let clock: Date;
  let cron: CronScheduler;

  beforeEach(() => {
    clock = new Date("2026-03-01T08:59:30Z");
    cron = startCron({ urlFor: server.urlFor, log: { write() {} }, now: () => clock });
  });

  afterEach(() => cron.stop());

  const runs = () => sql`select status, return_message from cron.job_run_details order by runid`;
  const tickAt = async (time: string) => {
    clock = new Date(time);
    await cron.tick();
  };

  test("runs a job in the minute its schedule names, once, and no other", async () => {
    await sql`select cron.schedule('nine', '0 9 * * *', $$insert into public.ticks (who) values ('nine')$$)`;
    await tickAt("2026-03-01T08:59:59Z");
    await tickAt("2026-03-01T09:00:00Z");
    await tickAt("2026-03-01T09:00:45Z");
    await tickAt("2026-03-01T09:01:00Z");
    await eventually("the run is recorded", async () => (await runs()).length === 1);
    await cron.stop();
    expect(await sql`select who from public.ticks`).toEqual([{ who: "nine" }]);
  });

  test("does not make up for minutes that passed while it was away", async () => {
    await sql`select cron.schedule('nine', '0 9 * * *', $$insert into public.ticks (who) values ('nine')$$)`;
    await sql`select cron.schedule('each', '* * * * *', $$insert into public.ticks (who) values ('each')$$)`;
    await tickAt("2026-03-01T12:00:00Z");
    await eventually("the minute's job has run", async () => (await runs()).length === 1);
    await cron.stop();
    expect(await sql`select who from public.ticks`).toEqual([{ who: "each" }]);
  });

  test("makes up for every minute that a run of the job used up, one right after the other", async () => {
    const holder = await sql.reserve();
    await holder`select pg_advisory_lock(9)`;
    await sql`select cron.schedule('long', '* * * * *', $$with held as (select pg_advisory_xact_lock_shared(9))
      insert into public.ticks (who) select 'long' from held$$)`;
    for (const minute of ["09:00", "09:01", "09:02", "09:03"]) await tickAt(`2026-03-01T${minute}:00Z`);
    await holder`select pg_advisory_unlock(9)`;
    holder.release();
    await eventually("all four have run", async () => (await sql`select from public.ticks`).length === 4);
    await cron.stop();
    expect(await sql`select who from public.ticks`).toHaveLength(4);
  });

  test("records a job that was canceled in its run as failed", async () => {
    await sql`select cron.schedule('canceled', '0 0 * * *', 'select pg_sleep(30)')`;
    const run = cron.run("canceled");
    const admin = postgres(server.adminUrl, { max: 1 });
    await eventually("it was canceled", async () => {
      // It is recorded as running a moment before its session gets the command, and until then there is nothing to cancel.
      const [row] = await admin`
        select pg_cancel_backend(d.job_pid) as done
        from cron.job_run_details as d join pg_catalog.pg_stat_activity as a on a.pid = d.job_pid
        where d.status = 'running' and a.state = 'active' and a.query like '%pg_sleep%'`;
      return row?.done;
    });
    await admin.end();
    expect(await run).toMatchObject({
      status: "failed",
      return_message: "ERROR:  canceling statement due to user request",
    });
  });

  test("records a run as pg_cron does", async () => {
    await sql`select cron.schedule('count', '0 0 * * *', 'select * from generate_series(1, 3)')`;
    const run = await cron.run("count");
    expect(run).toMatchObject({ status: "succeeded", return_message: "3 rows" });
    const [row] = await sql`
      select database, username, command, status, return_message, job_pid > 0 as has_pid,
        start_time <= end_time as in_order
      from cron.job_run_details
    `;
    expect(row).toEqual({
      database: "postgres",
      username: "postgres",
      command: "select * from generate_series(1, 3)",
      status: "succeeded",
      return_message: "3 rows",
      has_pid: true,
      in_order: true,
    });
  });

  test("records a failure with its message, and goes on", async () => {
    await sql`select cron.schedule('broken', '0 0 * * *', 'select 1 / 0')`;
    expect(await cron.run("broken")).toMatchObject({
      status: "failed",
      return_message: "ERROR:  division by zero",
    });
    await sql`select cron.schedule('fine', '0 0 * * *', 'delete from public.ticks')`;
    expect(await cron.run("fine")).toMatchObject({ status: "succeeded", return_message: "DELETE 0" });
  });

  test("runs a job as the role that scheduled it, with that role's settings and no more rights", async () => {
    await sql.begin(async (transaction) => {
      await transaction.unsafe("set local role helper");
      await transaction`select cron.schedule('who', '0 0 * * *', 'create table who_ran (role text)')`;
    });
    expect(await cron.run("who")).toMatchObject({
      status: "failed",
      return_message: "ERROR:  permission denied for schema public",
    });
    await sql`select cron.schedule('whoami', '0 0 * * *',
      $$insert into public.ticks (who) select session_user || ' ' || current_setting('search_path')$$)`;
    await cron.run("whoami");
    expect(await sql`select who from public.ticks`).toEqual([
      { who: 'postgres "$user", public, extensions' },
    ]);
    await sql.begin(async (transaction) => {
      await transaction.unsafe("set local role helper");
      await transaction`select cron.unschedule('who')`;
    });
  });

  test("runs an interval's job again after each interval", async () => {
    // Before the job is there: its interval begins when the scheduler sees it, which it may do at any moment.
    clock = new Date("2026-03-01T09:00:00Z");
    await sql`select cron.schedule('often', '10 seconds', $$insert into public.ticks (who) values ('often')$$)`;
    const ticks = async () => (await sql`select from public.ticks`).length;
    await tickAt("2026-03-01T09:00:00Z");
    await tickAt("2026-03-01T09:00:09Z");
    expect(await ticks()).toBe(0);
    await tickAt("2026-03-01T09:00:10Z");
    await eventually("the first run", async () => (await ticks()) === 1);
    await tickAt("2026-03-01T09:00:20Z");
    await eventually("the second run", async () => (await ticks()) === 2);
  });

  test("leaves inactive jobs alone, but runs one on request", async () => {
    const [{ jobid } = {}] = await sql`
      select cron.schedule('idle', '* * * * *', $$insert into public.ticks (who) values ('idle')$$) as jobid
    `;
    await sql`select cron.alter_job(${jobid}, active := false)`;
    await tickAt("2026-03-01T09:00:00Z");
    await tickAt("2026-03-01T09:01:00Z");
    await cron.run("idle");
    expect(await sql`select who from public.ticks`).toHaveLength(1);
  });

  test("takes up its work again when the database has been away", async () => {
    await sql`select cron.schedule('each', '* * * * *', $$insert into public.ticks (who) values ('each')$$)`;
    await server.stopImmediate();
    await cron.tick();
    await server.start();
    await eventually("the job ran", async () => {
      clock = new Date(clock.getTime() + 60_000);
      await cron.tick();
      return (await sql`select from public.ticks`.catch(() => [])).length > 0;
    });
  });
});
