/**
 * What reading in a history takes: a whole backfill, page by page through apply_history, beside the same objects one by one
 * through apply_refresh, in turns on one server, each in a database of its own.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Sql } from "postgres";
import type { CallBilling } from "../../supabase/functions/_duebase/database.ts";
import { unfold } from "../../supabase/functions/_duebase/history/lists.ts";
import { runHistory } from "../../supabase/functions/_duebase/history/runner.ts";
import { billingOver } from "../duebase/connections/billing.ts";
import { applyMigrations } from "../local/migrations.ts";
import { largeAccount } from "./large-account.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

/** About how many objects are read. */
const OBJECTS = Number(process.env.DUEBASE_BENCH_OBJECTS ?? 10_000);
const LEAST_GAIN = 2;
const LEAST_FEWER_CALLS = 5;
/** What a run may hold more at its end than after its first tenth, megabytes. */
const MOST_GROWTH = 16;

/** Takes a minute with 10,000 objects, with a server of its own (fsync on) in a temporary directory. */
export async function benchHistory(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async ({ connect, copyDatabase, urlFor }) => {
    await applyMigrations(urlFor("postgres", "postgres"));
    await copyDatabase("single", "paged");
    return rowsOf(await inTurns(connect("postgres", "single"), connect("postgres", "paged")));
  });
}

interface Taken {
  objects: number;
  /** Milliseconds that each way took. */
  single: number;
  paged: number;
  /** Round trips to the database. */
  singleCalls: number;
  pagedCalls: number;
  /** Megabytes in use after each hundredth page or so, once what is not needed is gone. */
  heap: number[];
}

/** One backfill; before a page is answered, its objects are applied one by one in the other database. */
async function inTurns(single: Sql, paged: Sql): Promise<Taken> {
  const took: Taken = { objects: 0, single: 0, paged: 0, singleCalls: 0, pagedCalls: 0, heap: [] };
  const account = await largeAccount(OBJECTS, async (data, asOf) => {
    const startedAt = performance.now();
    const readAt = new Date(asOf).toISOString();
    for (const object of data.flatMap(unfold)) {
      await single`select billing.apply_refresh(${single.json(object as never)}, ${readAt})`;
      took.singleCalls += 1;
    }
    took.single += performance.now() - startedAt;
  });
  const overConnection = billingOver(paged);
  const callBilling = (async (name, args) => {
    const startedAt = performance.now();
    try {
      return await overConnection(name, args);
    } finally {
      took.paged += performance.now() - startedAt;
      took.pagedCalls += 1;
    }
  }) as CallBilling;
  const collect = garbageCollection();
  let pages = 0;
  const every = Math.max(1, Math.floor(account.objects / 100 / 40));
  const result = await runHistory(
    {
      callBilling,
      callStripe: account.call,
      secretKey: "sk_test_example_bench",
      holder: "bench",
      clock: { now: () => performance.now(), sleep: async () => {} },
      onPage: (_step, objects) => {
        took.objects += objects;
        pages += 1;
        if (pages % every !== 0) return;
        collect();
        took.heap.push(process.memoryUsage().heapUsed / 1e6);
      },
    },
    { kind: "backfill" },
  );
  if (result.outcome !== "finished" || result.run.status !== "complete") {
    throw new Error(`the backfill is not complete: ${JSON.stringify(result)}`);
  }
  return took;
}

/** What collects garbage now, so that only what is held counts. */
function garbageCollection(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

function rowsOf({ objects, single, paged, singleCalls, pagedCalls, heap }: Taken): BenchRow[] {
  const gain = single / paged;
  const fewer = singleCalls / pagedCalls;
  const growth = (heap.at(-1) ?? 0) - (heap[Math.floor(heap.length / 10)] ?? 0);
  return [
    {
      name: `${objects} objects of a history one by one through apply_refresh`,
      value: (objects / single) * 1000,
      unit: "objects/s",
    },
    {
      name: "the same as a backfill, in pages",
      value: (objects / paged) * 1000,
      unit: "objects/s",
      ratio: gain,
      target: `at least ${LEAST_GAIN}× as many`,
      met: gain >= LEAST_GAIN,
    },
    {
      name: "round trips to the database of the backfill",
      value: pagedCalls,
      unit: "calls",
      ratio: fewer,
      target: `at least ${LEAST_FEWER_CALLS}× fewer`,
      met: fewer >= LEAST_FEWER_CALLS,
    },
    {
      name: "memory it holds more at its end than after its first tenth",
      value: growth,
      unit: "MB",
      target: `at most ${MOST_GROWTH} MB`,
      met: growth <= MOST_GROWTH,
    },
  ];
}
