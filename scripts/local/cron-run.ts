import type postgres from "postgres";
import { openSql } from "./sql.ts";

/** A row of cron.job, as far as running it needs it. */
export interface CronJob {
  jobid: string;
  jobname: string | null;
  schedule: string;
  command: string;
  database: string;
  username: string;
}

/** How a run ended: what cron.job_run_details says of it. */
export interface CronRun {
  runid: string;
  status: "succeeded" | "failed";
  return_message: string;
}

/**
 * Runs a job's command once, as the job's user and in its database, and records the run as pg_cron does.
 *
 * @param records the scheduler's own session, as the superuser
 * @param urlFor connection string of a role for a database
 */
export async function runJob(
  records: postgres.Sql,
  urlFor: (role: string, database?: string) => string,
  job: CronJob,
): Promise<CronRun> {
  const [run] = await records<{ runid: string }[]>`
    insert into cron.job_run_details (jobid, runid, database, username, command, status)
    values (${job.jobid}, nextval('cron.runid_seq'), ${job.database}, ${job.username}, ${job.command}, 'starting')
    returning runid
  `;
  if (!run) throw new Error("cron.job_run_details took no row");
  const outcome = await execute(records, urlFor, job, run.runid).catch((error: unknown) => ({
    status: "failed" as const,
    return_message: `ERROR:  ${error instanceof Error ? error.message : String(error)}`,
  }));
  await records`
    update cron.job_run_details
    set status = ${outcome.status}, return_message = ${outcome.return_message},
        start_time = coalesce(start_time, clock_timestamp()), end_time = clock_timestamp()
    where runid = ${run.runid}
  `;
  return { runid: run.runid, ...outcome };
}

async function execute(
  records: postgres.Sql,
  urlFor: (role: string, database?: string) => string,
  job: CronJob,
  runid: string,
): Promise<Pick<CronRun, "status" | "return_message">> {
  const session = openSql(urlFor("supabase_admin", job.database), 1, {
    application_name: "pg_cron",
    search_path: '"$user", public',
  });
  try {
    await become(session, job.username);
    const [backend] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await records`
      update cron.job_run_details
      set status = 'running', job_pid = ${backend?.pid ?? null}, start_time = clock_timestamp()
      where runid = ${runid}
    `;
    const results = await session.unsafe(job.command).simple();
    const last = Array.isArray(results[0]) ? results.at(-1) : results;
    return {
      status: "succeeded",
      return_message: describe(last as unknown as postgres.RowList<postgres.Row[]>),
    };
  } finally {
    await session.end({ timeout: 1 });
  }
}

/** Turns a superuser's session into one of `role`, with the settings a login of that role would have. */
async function become(session: postgres.Sql, role: string): Promise<void> {
  const [found] = await session<{ rolcanlogin: boolean; rolconfig: string[] | null }[]>`
    select rolcanlogin, to_json(rolconfig) as rolconfig from pg_catalog.pg_roles where rolname = ${role}
  `;
  if (!found) throw new Error(`role "${role}" does not exist`);
  if (!found.rolcanlogin) throw new Error(`role "${role}" is not permitted to log in`);
  await session`select set_config('session_authorization', ${role}, false)`;
  for (const setting of found.rolconfig ?? []) {
    const [name = "", ...value] = setting.split("=");
    await session`select set_config(${name}, ${value.join("=")}, false)`;
  }
}

/** What libpq would say of a statement: its rows, or its command tag. */
function describe({ command, count, columns }: postgres.RowList<postgres.Row[]>): string {
  if (columns) return `${count} row${count === 1 ? "" : "s"}`;
  if (typeof count !== "number" || Number.isNaN(count)) return command;
  return command === "INSERT" ? `INSERT 0 ${count}` : `${command} ${count}`;
}
