/**
 * What the minute tick costs a project in which nothing is due, beside the same functions called one by one, as a job
 * each would. The subjects take turns on one server. Connecting is left out; plans and pages are warm. Beside it what a tick
 * costs whose session is new, as pg_cron's is every minute: it plans everything first.
 */
import postgres, { type Sql } from "postgres";
import { canMeasureCpu, cpuMilliseconds } from "./cpu.ts";
import { type BenchRow, percentile } from "./report.ts";
import { withServer } from "./server.ts";

const ROUNDS = 300;
const WARM_UP_ROUNDS = 20;
const MOST_MILLISECONDS = 5;
const NEW_SESSIONS = 20;

/** Takes some seconds, with a server of its own (fsync on) in a temporary directory. */
export async function benchTick(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async ({ connect, install, urlFor }) => {
    await install("postgres");
    const sql = connect("postgres", "postgres");
    const [job] = await sql<
      { command: string }[]
    >`select command from cron.job where jobname = 'duebase-tick'`;
    if (!job) throw new Error("the tick is not scheduled");
    const parts = await sql<{ call: string }[]>`
      select format('select %s(now())', function_name) as call
      from billing.tick_parts
      where runs_every = interval '1 minute'
      order by position`;
    const [alone, ticks] = await inTurns([
      async () => {
        for (const { call } of parts) await sql.unsafe(call);
      },
      () => sql.unsafe(job.command),
    ]);
    await expectIdle(sql);
    const cold = await inNewSessions(urlFor("postgres", "postgres"), job.command);
    const [least, tick] = [percentile(alone, 0.5), percentile(ticks, 0.5)];
    return [
      { name: `the ${parts.length} functions of an idle minute`, value: least, unit: "ms" },
      {
        name: "an idle tick, median",
        value: tick,
        unit: "ms",
        ratio: tick / least,
        target: `under ${MOST_MILLISECONDS} ms`,
        met: tick < MOST_MILLISECONDS,
      },
      {
        name: "an idle tick in a session of its own, CPU",
        value: percentile(cold, 0.5),
        unit: "ms",
        ratio: percentile(cold, 0.5) / least,
      },
    ];
  });
}

/** Milliseconds of each run of each subject. */
async function inTurns<Subjects extends (() => Promise<unknown>)[]>(
  subjects: [...Subjects],
): Promise<{ [index in keyof Subjects]: number[] }> {
  const spent = subjects.map(() => [] as number[]);
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const [index, subject] of subjects.entries()) {
      const began = performance.now();
      await subject();
      if (round >= WARM_UP_ROUNDS) spent[index]?.push(performance.now() - began);
    }
  }
  return spent as { [index in keyof Subjects]: number[] };
}

/** Milliseconds of CPU that a session has used once it has run a command; NaN where the system does not tell. */
async function inNewSessions(url: string, command: string): Promise<number[]> {
  const spent: number[] = [];
  for (let session = 0; session < NEW_SESSIONS; session++) {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    try {
      const [server] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await sql.unsafe(command);
      spent.push(server && canMeasureCpu ? cpuMilliseconds(server.pid) : Number.NaN);
    } finally {
      await sql.end();
    }
  }
  return spent;
}

/** A tick that failed or was not run would be quick, too. */
async function expectIdle(sql: Sql): Promise<void> {
  const wrong = await sql`
    select part from billing.tick_parts where last_finished_at is null or last_error is not null or last_count <> 0`;
  if (wrong.length > 0) throw new Error(`not idle: ${wrong.map(({ part }) => part).join(", ")}`);
}
