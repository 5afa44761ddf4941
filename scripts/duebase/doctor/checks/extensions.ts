import type { Sql } from "postgres";
import { type Check, type Finding, mayBeWrong, orRight, wrong } from "../check.ts";

const EXTENSIONS: Record<string, string> = {
  pg_net: "create extension pg_net with schema extensions",
  pg_cron:
    "create extension pg_cron with schema pg_catalog; then: select billing_private.schedule_tick(), billing_private.schedule_dunning()",
  supabase_vault: "create extension supabase_vault with schema vault",
};
const JOBS: Record<string, string> = {
  "duebase-tick": "select billing_private.schedule_tick()",
  "duebase-dunning": "select billing_private.schedule_dunning()",
};

/** What runs by the clock: pg_net and pg_cron are there, the jobs are scheduled, and the tick ticks. */
export const extensions: Check = {
  name: "clockwork",
  title: "pg_cron and pg_net",
  async look({ sql }) {
    const there = await sql<{ name: string }[]>`
      select extname as name from pg_catalog.pg_extension where extname = any (${Object.keys(EXTENSIONS)})`;
    const missing = Object.entries(EXTENSIONS)
      .filter(([name]) => !there.some((one) => one.name === name))
      .map(([name, cure]) => wrong(`${name} is not there`, cure));
    const hasCron = there.some(({ name }) => name === "pg_cron");
    const jobs = hasCron ? [...(await jobsOf(sql)), ...(await tickOf(sql))] : [];
    return orRight(
      [...missing, ...jobs],
      "pg_net, pg_cron and Vault are there, and the tick runs every minute",
    );
  },
};

async function jobsOf(sql: Sql): Promise<Finding[]> {
  const jobs = await sql<{ jobid: string; jobname: string; active: boolean }[]>`
    select jobid::text, jobname, active from cron.job where jobname = any (${Object.keys(JOBS)})`;
  return Object.entries(JOBS).flatMap(([name, cure]) => {
    const mine = jobs.filter(({ jobname }) => jobname === name);
    if (mine.length === 0) return [wrong(`cron has no job ${name}`, cure)];
    return mine
      .filter(({ active }) => !active)
      .map(({ jobid }) =>
        wrong(`cron job ${name} is paused`, `select cron.alter_job(${jobid}, active := true)`),
      );
  });
}

async function tickOf(sql: Sql): Promise<Finding[]> {
  const [tick] = await sql<{ is_late: boolean; is_new: boolean; at: string | null; error: string | null }[]>`
    select
      coalesce(max(t.last_tick_at) < now() - interval '3 minutes', true) as is_late,
      (select max(r.installed_at) > now() - interval '3 minutes' from billing.releases as r) as is_new,
      to_char(max(t.last_tick_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as at,
      (
        select d.return_message
        from cron.job_run_details as d
        join cron.job as j using (jobid)
        where j.jobname = 'duebase-tick' and d.status = 'failed'
        order by d.start_time desc limit 1
      ) as error
    from billing.tick_parts as t`;
  if (!tick?.is_late) return [];
  if (tick.is_new)
    return [mayBeWrong("the first tick has not come yet", "wait a minute, and run doctor again")];
  return [
    wrong(
      `the tick last ran ${tick.at ? `at ${tick.at} UTC` : "never"}${tick.error ? ` (last error: ${tick.error.slice(0, 120)})` : ""}`,
      "look at cron.job_run_details; where nothing runs there, restart the database in the dashboard",
    ),
  ];
}
