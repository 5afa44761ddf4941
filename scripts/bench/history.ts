/**
 * What reading in a history takes: pages through apply_history beside the same objects one by one through apply_refresh, in
 * turns on one server, each in a database of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import {
  BACKFILL_LISTS,
  cursorAfter,
  readListPage,
} from "../../supabase/functions/_duebase/history/lists.ts";
import { type Page, StripeReader } from "../../supabase/functions/_duebase/history/reader.ts";
import { connectStripe } from "../../supabase/functions/_duebase/stripe.ts";
import { startAccountWithHistory } from "../../test/support/account/stripe-account.ts";
import { applyMigrations } from "../local/migrations.ts";
import { startPostgres } from "../local/postgres/server.ts";
import type { BenchRow } from "./report.ts";

const CUSTOMERS = Number(process.env.DUEBASE_BENCH_CUSTOMERS ?? 60);
const MONTHS = 12;
const LEAST_GAIN = 2;
const LEAST_FEWER_CALLS = 5;

/** Takes some minutes, with a server of its own (fsync on) in a temporary directory. */
export async function benchHistory(): Promise<BenchRow[]> {
  const pages = await pagesOfAccount();
  const objects = pages.reduce((sum, { page }) => sum + page.data.length, 0);
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  const server = await startPostgres({ directory });
  const clients: Sql[] = [];
  try {
    await applyMigrations(server.url);
    const admin = postgres(server.urlFor("supabase_admin", "template1"), { max: 1, onnotice: () => {} });
    for (const name of ["single", "paged"])
      await admin.unsafe(`create database ${name} template postgres owner postgres`);
    await admin.end();
    const [single, paged] = ["single", "paged"].map((name) => {
      const client = postgres(server.urlFor("postgres", name), { max: 1, onnotice: () => {} });
      clients.push(client);
      return client;
    }) as [Sql, Sql];
    const took = await inTurns(pages, single, paged);
    const gain = took.single / took.paged;
    return [
      {
        name: `${objects} objects one by one through apply_refresh`,
        value: (objects / took.single) * 1000,
        unit: "objects/s",
      },
      {
        name: "the same in pages through apply_history",
        value: (objects / took.paged) * 1000,
        unit: "objects/s",
        ratio: gain,
        target: `at least ${LEAST_GAIN}× as many`,
        met: gain >= LEAST_GAIN,
      },
      {
        name: "calls to the database for them",
        value: took.calls,
        unit: "calls",
        ratio: objects / took.calls,
        target: `at least ${LEAST_FEWER_CALLS}× fewer`,
        met: objects / took.calls >= LEAST_FEWER_CALLS,
      },
    ];
  } finally {
    for (const client of clients) await client.end();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

type StepPage = { step: string; page: Page; isLast: boolean };

/** Every page of every list of an account with a history. */
async function pagesOfAccount(): Promise<StepPage[]> {
  const account = await startAccountWithHistory({ customers: CUSTOMERS, months: MONTHS });
  const reader = new StripeReader({
    call: connectStripe({ secretKey: "sk_test_example_bench", baseUrl: account.local.url }),
    callsPerSecond: 1_000,
  });
  const pages: StepPage[] = [];
  for (const list of BACKFILL_LISTS) {
    let cursor: string | null = null;
    for (let isLast = false; !isLast; ) {
      const page: Page = await readListPage(reader, { ...list, expand: undefined }, cursor);
      const last = page.data.at(-1);
      isLast = !page.hasMore || last === undefined;
      cursor = last === undefined ? cursor : cursorAfter(last);
      pages.push({ step: list.step, page, isLast });
    }
  }
  await account.close();
  return pages;
}

/** Milliseconds that each way took, and how many calls the pages did. */
async function inTurns(
  pages: StepPage[],
  single: Sql,
  paged: Sql,
): Promise<{ single: number; paged: number; calls: number }> {
  const steps = [...new Set(pages.map(({ step }) => step))];
  const [lease] = await paged`select billing.claim_history('bench') ->> 'claim' as claim`;
  const [begun] = await paged`select billing.begin_history('backfill', ${steps}) ->> 'id' as run`;
  const took = { single: 0, paged: 0, calls: 0 };
  const apply = async (
    step: string,
    objects: object[],
    readAt: string,
    isLast: boolean,
  ): Promise<string[]> => {
    took.calls += 1;
    const page = { objects, read_at: readAt, is_last: isLast, pages: 1 };
    const [row] = await paged`
      select billing.apply_history(${lease?.claim}, ${begun?.run}, ${step}, ${paged.json(page as never)}) as outcomes
    `;
    return row?.outcomes as string[];
  };
  for (const { step, page, isLast } of pages) {
    const startedAt = performance.now();
    for (const object of page.data)
      await single`select billing.apply_refresh(${single.json(object as never)}, ${page.readAt})`;
    const between = performance.now();
    const outcomes = await apply(step, page.data, page.readAt, isLast);
    const left = page.data.filter((_, index) => outcomes[index] === "left");
    for (const object of left) await apply(step, [object], page.readAt, false);
    if (left.length > 0) await apply(step, [], page.readAt, isLast);
    took.single += between - startedAt;
    took.paged += performance.now() - between;
  }
  const [failed] = await paged`select count(*)::integer as problems from billing.history_problems`;
  if (failed?.problems !== 0) throw new Error(`${failed?.problems} objects could not be applied`);
  return took;
}
