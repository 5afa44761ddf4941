/**
 * The daily run's search for what is due, over ten thousand and over a hundred thousand open cases of as many customers:
 * it must grow with their number and no faster, in bounded memory, and be done in ten seconds. One case in ten has a
 * step due.
 */
import { readFile } from "node:fs/promises";
import type { Sql } from "postgres";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const FEW = 10_000;
const MANY = 100_000;
const MOST_SECONDS = 10;
/** How much longer ten times as many may take than ten times as long. */
const TOLERANCE = 1.3;
const MOST_GROWTH_MB = 64;
const NOW = new Date("2026-06-01T09:00:00Z");

/** Takes about a minute, with a server of its own (fsync on) in a temporary directory. */
export async function benchDunning(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async ({ connect, install }) => {
    await install("postgres");
    const sql = connect("postgres", "postgres");
    // What a wake-up costs is not part of it.
    await sql`alter table billing.outbox disable trigger outbox_wakes_deliver`;
    await openCases(sql, 1, FEW);
    await advance(sql, "warm-up");
    const few = await advance(sql, "few");
    await openCases(sql, FEW + 1, MANY);
    const before = await residentMegabytes(sql);
    const many = await advance(sql, "many");
    const after = await residentMegabytes(sql);
    const growth = before === undefined || after === undefined ? undefined : after - before;
    const ratio = many.seconds / (few.seconds * (MANY / FEW));
    return [
      { name: `advance_dunning, ${FEW.toLocaleString("en-US")} open cases`, value: few.seconds, unit: "s" },
      {
        name: `the same, ${MANY.toLocaleString("en-US")} open cases`,
        value: many.seconds,
        unit: "s",
        ratio,
        target: `linear (at most ${TOLERANCE}), and under ${MOST_SECONDS} s`,
        met: ratio <= TOLERANCE && many.seconds < MOST_SECONDS,
      },
      ...(growth === undefined ? [] : [memoryRow(growth)]),
    ];
  });
}

function memoryRow(megabytes: number): BenchRow {
  return {
    name: "memory its backend took meanwhile",
    value: megabytes,
    unit: "MB",
    target: `at most ${MOST_GROWTH_MB}`,
    met: megabytes <= MOST_GROWTH_MB,
  };
}

/** One whole run, page by page as the function makes it. */
async function advance(sql: Sql, run: string): Promise<{ seconds: number }> {
  await sql`delete from billing.outbox where kind = 'dunning'`;
  const startedAt = performance.now();
  let after: string | null = "";
  let due = 0;
  while (after !== null) {
    const [row]: { page: { due: number; next: string | null } }[] = await sql`
      select billing.advance_dunning(${NOW}, ${after}) as page`;
    if (!row) throw new Error("advance_dunning answered nothing");
    due += row.page.due;
    after = row.page.next;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const [open] = await sql<
    { count: number }[]
  >`select count(*)::int as count from billing.dunning_cases where status = 'open'`;
  if (due !== (open?.count ?? 0) / 10)
    throw new Error(`${run}: ${due} evaluations enqueued for ${open?.count} open cases`);
  return { seconds };
}

/** Cases of numbered customers, a day after their notice; every tenth has had none. */
async function openCases(sql: Sql, first: number, last: number): Promise<void> {
  const overdueSince = new Date(NOW.getTime() - 86_400_000);
  await sql`
    insert into billing.customers (id, email, created)
    select 'cus_bench' || n, n || '@example.com', ${overdueSince} from generate_series(${first}::int, ${last}::int) as n`;
  await sql`
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
    select 'sub_bench' || n, 'cus_bench' || n, 'past_due', false from generate_series(${first}::int, ${last}::int) as n`;
  await sql`
    insert into billing.invoices
      (id, customer, subscription, status, collection_method, currency, amount_remaining, first_payment_failed_at)
    select 'in_bench' || n, 'cus_bench' || n, 'sub_bench' || n, 'open', 'charge_automatically', 'usd', 2000, ${overdueSince}
    from generate_series(${first}::int, ${last}::int) as n`;
  await sql`
    insert into billing.dunning_cases
      (subject_id, customer, subscription, currency, policy_id, status, anchor_at, ladder_from, amount_due, opened_at)
    select 'sub_bench' || n, 'cus_bench' || n, 'sub_bench' || n, 'usd', p.id, 'open', ${overdueSince}, ${overdueSince}, 2000, ${overdueSince}
    from generate_series(${first}::int, ${last}::int) as n
    cross join billing.dunning_policies as p`;
  await sql`
    insert into billing.dunning_case_invoices (invoice, case_id, overdue_since, known_at)
    select 'in_bench' || substr(c.subject_id, 10), c.id, c.anchor_at, c.anchor_at
    from billing.dunning_cases as c
    on conflict do nothing`;
  await sql`
    insert into billing.dunning_actions
      (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at)
    select c.id, 1, 'notice', k.invoice, array[k.invoice], 'sent', c.anchor_at, c.anchor_at, c.anchor_at
    from billing.dunning_cases as c
    join billing.dunning_case_invoices as k on k.case_id = c.id
    where substr(c.subject_id, 10)::int % 10 <> 0
    on conflict do nothing`;
  for (const table of [
    "customers",
    "subscriptions",
    "invoices",
    "dunning_cases",
    "dunning_case_invoices",
    "dunning_actions",
  ])
    await sql.unsafe(`vacuum analyze billing.${table}`);
}

/** Memory of the connection's own backend, without what all share; undefined elsewhere than on Linux. */
async function residentMegabytes(sql: Sql): Promise<number | undefined> {
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const status = await readFile(`/proc/${backend?.pid}/status`, "utf8").catch(() => "");
  const anonymous = /RssAnon:\s+(\d+) kB/.exec(status)?.[1];
  return anonymous === undefined ? undefined : Number(anonymous) / 1024;
}
