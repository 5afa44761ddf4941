/**
 * What the outbox costs beside the least it could: two updates of the same rows, one for many at the claim and one for
 * each at its end. With ten finished rows behind what is due, and with a million: a claim must not feel them.
 * The subjects take turns in short rounds on one server, so that whatever else the machine does hits all of them.
 */
import postgres, { type Sql } from "postgres";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const ROUNDS = 20;
const ROUND_ROWS = 200;
const CLAIM_ROWS = 25;
const WORKERS = [1, 8];
const FEW_FINISHED = 10;
const MANY_FINISHED = 1_000_000;
/** How far the rates with few and with many may be from each other. */
const TOLERANCE = 0.2;

/** Owes the rows of a round, and works them off. */
type Subject = { enqueue(round: string): Promise<unknown>; workOff(workers: number): Promise<void> };

/** Takes about two minutes, with a server of its own (fsync on) in a temporary directory. */
export async function benchOutbox(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async ({ connect, install, copyDatabase, urlFor }) => {
    await install("postgres");
    await copyDatabase("few", "many");
    const [few, many] = [connect("postgres", "few", 8), connect("postgres", "many", 8)];
    await finishRows(few, FEW_FINISHED);
    await finishRows(many, MANY_FINISHED);
    // Writes that the million rows left behind must not count against the claims.
    await checkpoint(urlFor("supabase_admin", "few"));
    await few`create table public.bare (id bigint primary key, status text not null, claim_id uuid)`;
    const subjects = { bare: bareSubject(few), few: outboxSubject(few), many: outboxSubject(many) };
    const rows: BenchRow[] = [];
    for (const workers of WORKERS) rows.push(...(await compare(subjects, workers)));
    return rows;
  });
}

async function compare(
  subjects: Record<"bare" | "few" | "many", Subject>,
  workers: number,
): Promise<BenchRow[]> {
  const spent = { bare: 0, few: 0, many: 0 };
  const names = ["bare", "few", "many"] as const;
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of names) {
      await subjects[name].enqueue(`${workers}:${round}`);
      const startedAt = performance.now();
      await subjects[name].workOff(workers);
      // Plans and pages are warm before time counts.
      if (round >= 0) spent[name] += performance.now() - startedAt;
    }
  }
  const rate = (name: "bare" | "few" | "many") => (ROUNDS * ROUND_ROWS * 1000) / spent[name];
  const at = `${workers} worker${workers === 1 ? "" : "s"}`;
  return [
    { name: `bare updates, ${at}`, value: rate("bare"), unit: "rows/s" },
    {
      name: `claimed and completed, ${FEW_FINISHED} finished, ${at}`,
      value: rate("few"),
      unit: "rows/s",
      ratio: rate("few") / rate("bare"),
      target: "beside bare updates",
    },
    {
      name: `the same, ${MANY_FINISHED.toLocaleString("en-US")} finished, ${at}`,
      value: rate("many"),
      unit: "rows/s",
      ratio: rate("many") / rate("few"),
      target: `within ${TOLERANCE} of the rate with ${FEW_FINISHED}`,
      met: Math.abs(rate("many") / rate("few") - 1) <= TOLERANCE,
    },
  ];
}

function outboxSubject(sql: Sql): Subject {
  return {
    enqueue: (round) => sql`
      insert into billing.outbox (kind, dedupe_key, run_after, created_at)
      select 'alert', 'bench:' || ${round} || ':' || n, now(), now() from generate_series(1, ${ROUND_ROWS}) as n
    `,
    async workOff(workers) {
      await Promise.all(
        Array.from({ length: workers }, async () => {
          for (;;) {
            const claimed = await sql`
              select id, claim_id from billing.claim_outbox('bench', ${Math.ceil(CLAIM_ROWS / workers)})
            `;
            if (claimed.length === 0) return;
            for (const { id, claim_id } of claimed)
              await sql`select billing.complete_outbox(${id}, ${claim_id})`;
          }
        }),
      );
    },
  };
}

function bareSubject(sql: Sql): Subject {
  return {
    async enqueue() {
      await sql`truncate public.bare`;
      await sql`insert into public.bare select n, 'pending', null from generate_series(1, ${ROUND_ROWS}) as n`;
    },
    async workOff(workers) {
      const share = ROUND_ROWS / workers;
      const size = Math.ceil(CLAIM_ROWS / workers);
      await Promise.all(
        Array.from({ length: workers }, async (_, worker) => {
          for (let first = worker * share; first < (worker + 1) * share; first += size) {
            const last = Math.min(first + size, (worker + 1) * share);
            await sql`
              update public.bare set status = 'claimed', claim_id = gen_random_uuid() where id > ${first} and id <= ${last}
            `;
            for (let id = first + 1; id <= last; id++) {
              await sql`update public.bare set status = 'delivered', claim_id = null where id = ${id}`;
            }
          }
        }),
      );
    },
  };
}

async function checkpoint(url: string): Promise<void> {
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  await admin`checkpoint`;
  await admin.end();
}

async function finishRows(sql: Sql, count: number): Promise<void> {
  await sql`
    insert into billing.outbox (kind, dedupe_key, status, run_after, created_at, finished_at)
    select 'alert', 'finished:' || n, 'delivered', now(), now(), now() from generate_series(1, ${count}) as n
  `;
  await sql`vacuum analyze billing.outbox`;
}
