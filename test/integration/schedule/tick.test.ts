import type { Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/stack-project.ts";

interface Part {
  part: string;
  last_started_at: Date | null;
  last_finished_at: Date | null;
  last_took: string | null;
  last_count: number | null;
  last_active_at: Date | null;
  failures: number;
  last_failed_at: Date | null;
  last_error: { sqlstate?: string; message: string; context?: string } | null;
}

const noon = new Date("2026-11-01T12:00:00Z");
const minutesLater = (minutes: number) => new Date(noon.getTime() + minutes * 60_000);
const FIRST = ["wake-deliver", "outbound-answers", "dunning-watchdog", "wake-reconcile", "alarms"];
const MINUTELY = [
  "retry",
  "link",
  "follow-settings",
  "recount-entitlements",
  "recheck-entitlements",
  "remove-owners",
  "link-users",
  "owners-function",
  "follow-seats",
  "hourly-metrics",
  "health-counts",
];
const HOURLY = ["trial-reminders", "renewal-reminders", "purge-outbox", "purge-usage", "payload-partitions"];
const DAILY = [
  "purge-payloads",
  "purge-duplicates",
  "purge-events",
  "purge-email-bodies",
  "purge-email-reports",
  "purge-history",
  "purge-cron-history",
  "purge-audit",
];

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create schema app;
    create table app.calls (id bigint generated always as identity, part text, at timestamptz not null);
  `);
});
afterEach(() => database.drop());

/** Cron's command, by a clock that shows `now` at this moment, and with other bounds than 20 seconds. */
async function command(now = noon, budget = "20 seconds"): Promise<string> {
  const [job] = await database.sql<{ command: string }[]>`
    select command from cron.job where jobname = 'duebase-tick'`;
  const advance = "advance_tick(tick_at, now())";
  if (!job?.command.includes(advance)) throw new Error(`no such call in ${job?.command}`);
  return job.command
    .replace(advance, `advance_tick(tick_at, now(), '${budget}')`)
    .replaceAll("now()", `(now() + interval '${now.getTime() - Date.now()} milliseconds')`);
}

const tick = async (now = noon, budget = "20 seconds", sql: Sql = database.sql) =>
  sql.unsafe(await command(now, budget));

/** What the operator sees of a part. */
async function see(part: string): Promise<Part> {
  const [row] = await database.asService(
    (sql) => sql<Part[]>`select * from billing.tick_parts where part = ${part}`,
  );
  if (!row) throw new Error(`no part ${part}`);
  return row;
}

const problems = () =>
  database.asService((sql) => sql`select job, problem from billing.job_problems order by job`);

/** Gives a part another function: it notes that it was called, and then does as the body says. */
async function replace(part: string, body = "return 0;") {
  const name = part.replaceAll("-", "_");
  await database.sql.unsafe(`
    create or replace function app.${name}(p_now timestamptz) returns integer language plpgsql as $$
    begin
      insert into app.calls (part, at) values ('${part}', p_now);
      ${body}
    end;
    $$;
    update billing.tick_parts set function_name = 'app.${name}' where part = '${part}';
  `);
}

/** Which parts were called since the last time this was asked, in order. */
async function called(): Promise<string[]> {
  const rows = await database.sql<{ part: string }[]>`
    with gone as (delete from app.calls where true returning id, part) select part from gone order by id`;
  return rows.map(({ part }) => part);
}

const replaceAll = async () => {
  for (const part of [...FIRST, ...MINUTELY, ...HOURLY, ...DAILY]) await replace(part);
};

describe("a tick", () => {
  it("runs each part once, waking deliver first, and records that it did", async () => {
    await replaceAll();
    await tick();
    expect(await called()).toEqual([...FIRST, ...MINUTELY, ...HOURLY, ...DAILY]);
    expect(await see("link")).toMatchObject({
      last_count: 0,
      last_active_at: null,
      failures: 0,
      last_error: null,
    });
  });

  it("does with the functions that are scheduled what they do by themselves", async () => {
    await tick();
    const failed = await database.sql`
      select part, last_error from billing.tick_parts where last_finished_at is null or last_error is not null`;
    expect(failed).toEqual([]);
    expect(await problems()).toEqual([]);

    // Nothing in Vault: deliver should be woken and cannot be.
    await database.sql`select billing_private.enqueue('alert', 'tick', '{"cause": "test"}', ${noon})`;
    await tick(minutesLater(1));
    expect(await problems()).toMatchObject([{ job: "deliver" }]);
    expect(await see("wake-deliver")).toMatchObject({ failures: 0, last_count: 0 });
  });

  it("passes on the clock it was given, which goes on while it runs", async () => {
    await replace("link", "perform pg_sleep(0.1); return 3;");
    await replace("purge-usage");
    await tick();
    const [first, last] = await database.sql<{ at: Date }[]>`select at from app.calls order by id`;
    expect(first?.at.getTime()).toBeGreaterThanOrEqual(noon.getTime());
    expect(last?.at.getTime()).toBeGreaterThanOrEqual(noon.getTime() + 100);
    expect(last?.at.getTime()).toBeLessThan(noon.getTime() + 30_000);
    const part = await see("link");
    expect(part).toMatchObject({ last_count: 3, last_active_at: first?.at });
    expect(part.last_took).toMatch(/^00:00:0/);
    expect(part.last_finished_at?.getTime()).toBeGreaterThanOrEqual(noon.getTime() + 100);
  });

  it("leaves a part alone whose row was removed", async () => {
    await replaceAll();
    await database.sql`delete from billing.tick_parts where part = 'link'`;
    await tick();
    expect(await called()).not.toContain("link");
  });

  it("is refused inside of a transaction, with nothing done and nothing held", async () => {
    await replaceAll();
    const session = database.connect();
    const text = await command();
    await expect(session.begin((sql) => sql.unsafe(text))).rejects.toMatchObject({
      code: "2D000",
    });
    await tick();
    expect(await called()).toContain("link");
  });
});

describe("a part that raises", () => {
  it.each([
    ["an error", "raise exception 'no link today' using errcode = 'AP001';", "AP001"],
    ["a failed assertion", "assert false, 'no link today';", "P0004"],
    ["an error that comes at commit", "insert into app.late values (1), (1); return 0;", "23505"],
  ])("%s: it is recorded and shown, the others run, and nothing of it is kept", async (_, body, sqlstate) => {
    await database.sql`create table app.late (id int, constraint no_link_today unique (id) deferrable initially deferred)`;
    await replaceAll();
    await replace("link", body);
    await tick();
    expect(await called()).toEqual(
      [...FIRST, ...MINUTELY, ...HOURLY, ...DAILY].filter((part) => part !== "link"),
    );
    const part = await see("link");
    expect(part).toMatchObject({
      failures: 1,
      last_error: { sqlstate, message: expect.stringMatching(/no.link.today/) },
    });
    expect(part.last_error?.context).toContain("billing_private.call_tick_part");
    expect(part.last_failed_at).toEqual(part.last_finished_at);
    expect(await problems()).toEqual([
      { job: "link", problem: expect.stringMatching(new RegExp(`no.link.today.*\\(${sqlstate}\\)`)) },
    ]);

    await tick(minutesLater(1));
    expect(await see("link")).toMatchObject({ failures: 2 });
    await replace("link", "return 1;");
    await tick(minutesLater(2));
    expect(await problems()).toEqual([]);
    // The last error stays to be read.
    expect(await see("link")).toMatchObject({ failures: 0, last_count: 1, last_error: { sqlstate } });
  });

  it("is told apart from what it says of itself: its success leaves others' problems alone", async () => {
    await database.sql`select billing_private.record_job_problem('email', 'no sender', now())`;
    await tick();
    expect(await problems()).toEqual([{ job: "email", problem: "no sender" }]);
  });

  it("waits ten seconds at most for what somebody does not let go of", { timeout: 30_000 }, async () => {
    await replaceAll();
    await replace("retry", "lock table app.held; return 0;");
    await database.sql`create table app.held ()`;
    const holder = database.connect();
    await holder.unsafe("begin; lock table app.held");
    const began = performance.now();
    await tick();
    expect(performance.now() - began).toBeLessThan(15_000);
    await holder.unsafe("rollback");
    expect(await see("retry")).toMatchObject({ failures: 1, last_error: { sqlstate: "55P03" } });
    expect(await called()).toContain("purge-usage");
  });
});

describe("the time that parts share", () => {
  it("is taken in turn: a slow part does not keep the others from theirs", async () => {
    await replaceAll();
    await replace("link", "perform pg_sleep(1); return 0;");
    await tick(noon, "1 second");
    // Its turn came second, and took all the time.
    expect(await called()).toEqual([...FIRST, "retry", "link"]);
    await tick(minutesLater(1), "1 second");
    const waited = [...MINUTELY.slice(2), ...HOURLY, ...DAILY];
    const second = await called();
    expect(second.slice(0, FIRST.length + waited.length)).toEqual([...FIRST, ...waited]);
    expect(second).toEqual([...FIRST, ...waited, "retry", "link"]);
    await tick(minutesLater(2), "1 second");
    expect(await called()).toEqual([...FIRST, ...MINUTELY.slice(2), "retry", "link"]);
  });

  it("ends a part that repeats, between two transactions", async () => {
    await replaceAll();
    await replace("recount-entitlements", "perform pg_sleep(0.05); return 1;");
    await tick(noon, "1 second");
    const first = await called();
    expect(first.filter((part) => part === "recount-entitlements").length).toBeGreaterThan(1);
    expect(first.at(-1)).toBe("recount-entitlements");
    const part = await see("recount-entitlements");
    expect(part).toMatchObject({ failures: 0, last_count: first.filter((one) => one === part.part).length });
    expect(part.last_finished_at).not.toBeNull();
    await tick(minutesLater(1), "1 second");
    const next = (await called()).slice(FIRST.length);
    expect(next.slice(0, 5)).toEqual([...MINUTELY.slice(4), ...HOURLY].slice(0, 5));
  });

  it("commits each repetition: a later one that raises leaves the earlier ones", async () => {
    await replace("retry", "if (select count(*) > 2 from app.calls) then raise 'enough'; end if; return 1;");
    await tick();
    expect(await called()).toEqual(["retry", "retry"]);
    expect(await see("retry")).toMatchObject({
      last_count: 2,
      failures: 1,
      last_error: { message: "enough" },
    });
  });

  it("is of no concern to what starts others: deliver is woken in every tick", async () => {
    await replaceAll();
    await tick(noon, "0 seconds");
    await tick(noon, "0 seconds");
    expect(await called()).toEqual([...FIRST, ...FIRST]);
  });
});

describe("an hourly part", () => {
  const hourlyAt = async (minute: number) => {
    await tick(minutesLater(minute));
    return (await called()).filter((part) => HOURLY.includes(part));
  };

  it("runs an hour after it last began, and one missed run of several is made up", async () => {
    await replaceAll();
    expect(await hourlyAt(0)).toEqual(HOURLY);
    expect(await hourlyAt(1)).toEqual([]);
    expect(await hourlyAt(59)).toEqual([]);
    expect(await hourlyAt(60)).toEqual(HOURLY);
    // Cron was away for five hours.
    expect(await hourlyAt(365)).toEqual(HOURLY);
    expect(await hourlyAt(366)).toEqual([]);
    expect(await hourlyAt(425)).toEqual(HOURLY);
  });

  it("runs again after the clock was set back", async () => {
    await replaceAll();
    await hourlyAt(600);
    expect(await hourlyAt(0)).toEqual(HOURLY);
  });
});

describe("two ticks", () => {
  /** A tick that stays in a part until it is let go, in a session of its own. */
  async function startAndHold(part: string) {
    await replace(part, "perform pg_advisory_xact_lock_shared(99); return 0;");
    const holder = database.connect();
    await holder`select pg_advisory_lock(99)`;
    const session = database.connect();
    const [backend] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const running = session.unsafe(await command()).execute();
    // It is looked at when it is awaited.
    running.catch(() => {});
    await eventually("the tick is held in its part", async () => {
      const [row] = await database.sql`
        select from pg_stat_activity where pid = ${backend?.pid ?? 0} and wait_event = 'advisory'`;
      return row !== undefined;
    });
    return {
      session,
      pid: backend?.pid ?? 0,
      running,
      letGo: () => holder`select pg_advisory_unlock(99)`,
    };
  }

  it("at once: the second one does nothing", async () => {
    await replaceAll();
    const first = await startAndHold("link");
    expect(await see("link")).toMatchObject({ last_finished_at: null, failures: 0 });
    await called();
    await tick(minutesLater(1));
    expect(await called()).toEqual([]);
    await first.letGo();
    await first.running;
    expect(await called()).toEqual(["link", ...MINUTELY.slice(2), ...HOURLY, ...DAILY]);
    await tick(minutesLater(2));
    expect(await called()).toContain("wake-deliver");
    expect(await problems()).toEqual([]);
  });

  it("the first killed in the middle of a part: the next one says so, and goes on with those that had no turn", async () => {
    await replaceAll();
    const first = await startAndHold("link");
    await database.sql`select pg_terminate_backend(${first.pid})`;
    await expect(first.running).rejects.toThrow();
    await first.letGo();
    await called();
    await eventually("its session is gone", async () => {
      const rows = await database.sql`select from pg_stat_activity where pid = ${first.pid}`;
      return rows.length === 0;
    });
    await replace("follow-settings", "perform pg_sleep(1); return 0;");
    await tick(minutesLater(1), "1 second");
    expect(await called()).toEqual([...FIRST, "follow-settings"]);
    expect(await see("link")).toMatchObject({
      failures: 1,
      last_error: { message: expect.stringContaining("session ended") },
    });
    expect(await problems()).toMatchObject([{ job: "link" }]);
    await tick(minutesLater(2));
    expect(await problems()).toEqual([]);
    expect(await see("link")).toMatchObject({ failures: 0 });
  });

  it("the first canceled: it ends, the part says so, and nothing is held in a session that lives on", async () => {
    await replaceAll();
    const first = await startAndHold("link");
    await database.sql`select pg_cancel_backend(${first.pid})`;
    await first.running;
    await first.letGo();
    expect(await see("link")).toMatchObject({ failures: 1, last_error: { sqlstate: "57014" } });
    await called();
    await tick(minutesLater(1));
    expect((await called()).slice(0, FIRST.length + 1)).toEqual([...FIRST, "follow-settings"]);
    expect(await first.session`select 1 as alive`).toEqual([{ alive: 1 }]);
    expect(await problems()).toEqual([]);
  });
});
