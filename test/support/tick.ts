import type { Sql } from "postgres";

/** Runs what cron's job `duebase-tick` runs each minute, in a session of its own that may commit. */
export async function runTick(sql: Sql): Promise<void> {
  const [job] = await sql<{ command: string }[]>`select command from cron.job where jobname = 'duebase-tick'`;
  if (!job) throw new Error("cron has no job duebase-tick");
  await sql.unsafe(job.command);
}
