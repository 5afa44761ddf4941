import type postgres from "postgres";
import { type CronJob, type CronRun, runJob } from "./cron-run.ts";
import { readSchedule } from "./cron-schedule.ts";
import type { LineLog } from "./log.ts";
import { openSql } from "./sql.ts";

/** What the scheduler is started with. */
export interface CronOptions {
  /** Connection string of a role for a database. */
  urlFor(role: string, database?: string): string;
  log: LineLog;
  /** The scheduler's clock: tests and demos may turn it. The system's by default. */
  now?: () => Date;
}

/** The part of pg_cron that is outside the database here: it starts jobs at their time. */
export interface CronScheduler {
  /**
   * Runs a job now, whatever its schedule, recorded like any other run.
   *
   * @param job its name or its id
   * @throws Error when there is no such job
   */
  run(job: string | number): Promise<CronRun>;
  /** Checks the clock at once instead of within the next half second. */
  tick(): Promise<void>;
  stop(): Promise<void>;
}

const interval = 500;

/**
 * Starts jobs of the pg_cron stand-in. As with pg_cron, runs missed while the stack was down are not made up. Minutes that a
 * run of the job itself used up are all made up, one run right after the other. The wait of an interval begins when its
 * job was first seen.
 */
export function startCron({ urlFor, log, now = () => new Date() }: CronOptions): CronScheduler {
  const sql = openSql(urlFor("supabase_admin"), 4);
  const lastMinute = new Map<string, number>();
  const lastInterval = new Map<string, number>();
  const running = new Map<string, Promise<unknown>>();
  /** How often each job fell due while it ran. */
  const dueAgain = new Map<string, number>();
  let looking: Promise<void> = Promise.resolve();
  let idle = true;
  let stopped = false;
  const startedIn = minuteOf(now());

  function start(job: CronJob): void {
    if (running.has(job.jobid)) {
      dueAgain.set(job.jobid, (dueAgain.get(job.jobid) ?? 0) + 1);
      return;
    }
    const run = runJob(sql, urlFor, job)
      .then(({ status, return_message }) => {
        if (status === "failed") log.write(`${job.jobname ?? job.jobid} failed: ${return_message}`);
      })
      .catch((error: Error) => {
        if (!stopped) log.write(`${job.jobname ?? job.jobid}: ${error.message}`);
      })
      .finally(() => {
        running.delete(job.jobid);
        const times = dueAgain.get(job.jobid) ?? 0;
        dueAgain.set(job.jobid, times - 1);
        if (times === 0) dueAgain.delete(job.jobid);
        else if (!stopped) start(job);
      });
    running.set(job.jobid, run);
  }

  function isDue(job: CronJob, instant: Date): boolean {
    const schedule = readSchedule(job.schedule);
    if (schedule.everySeconds !== undefined) {
      const last = lastInterval.get(job.jobid);
      const due = last !== undefined && instant.getTime() - last >= schedule.everySeconds * 1000;
      if (due || last === undefined) lastInterval.set(job.jobid, instant.getTime());
      return due;
    }
    const minute = minuteOf(instant);
    if (minute === (lastMinute.get(job.jobid) ?? startedIn)) return false;
    lastMinute.set(job.jobid, minute);
    return schedule.isDueIn(instant);
  }

  async function look(): Promise<void> {
    const instant = now();
    for (const job of await activeJobs(sql)) {
      try {
        if (isDue(job, instant)) start(job);
      } catch (error) {
        log.write(`${job.jobname ?? job.jobid}: ${(error as Error).message}`);
      }
    }
  }

  function tick(): Promise<void> {
    idle = false;
    looking = looking
      .then(look)
      // The database may be down for a moment; the next check finds it again.
      .catch(() => {})
      .finally(() => {
        idle = true;
      });
    return looking;
  }

  const timer = setInterval(() => {
    if (idle) void tick();
  }, interval);
  return {
    async run(wanted) {
      const job = (await activeJobs(sql, wanted))[0];
      if (!job) throw new Error(`there is no cron job ${wanted}`);
      await running.get(job.jobid);
      return runJob(sql, urlFor, job);
    },
    tick,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await looking;
      await Promise.race([
        Promise.all(running.values()),
        new Promise((resolve) => setTimeout(resolve, 2_000)),
      ]);
      await sql.end({ timeout: 1 });
    },
  };
}

const minuteOf = (instant: Date): number => Math.floor(instant.getTime() / 60_000);

/** The jobs that may run, none before the extension is created; with `wanted`, the one of that name or id. */
async function activeJobs(sql: postgres.Sql, wanted?: string | number): Promise<CronJob[]> {
  const [extension] = await sql`select from pg_catalog.pg_extension where extname = 'pg_cron'`;
  if (!extension) return [];
  return sql<CronJob[]>`
    select jobid, jobname, schedule, command, database, username
    from cron.job
    where ${wanted === undefined ? sql`active` : sql`jobname = ${String(wanted)} or jobid::text = ${String(wanted)}`}
    order by jobid
  `;
}
