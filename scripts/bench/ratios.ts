/**
 * The ratios that CI watches: what an event costs the server beside a bare insert of the same payload, alone and many at a time, in
 * time on the CPU. That is what a busy machine leaves nearly alone; it does not count waiting for the disk.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { JSONValue, Sql } from "postgres";
import type Stripe from "stripe";
import { middle } from "./builds.ts";
import { canMeasureCpu, cpuMilliseconds } from "./cpu.ts";
import { billingEvents } from "./events.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const RECORDED = new URL("./ratios.json", import.meta.url);
const ROUNDS = 40;
const WARM_UP_ROUNDS = 5;
/** Divided by all sizes of batches. */
const ROUND_EVENTS = 70;
const LEAST_OF_RECORDED = 0.9;

/** How many times as fast as a bare insert, by what is measured. */
export type Ratios = Record<string, number>;

/** What was recorded by `npm run bench -- ratios` with `DUEBASE_RECORD_RATIOS=1`, by whoever changed the speed on purpose. */
export function recordedRatios(): Ratios {
  return JSON.parse(readFileSync(RECORDED, "utf8")) as Ratios;
}

/** Takes about twenty seconds, with a server of its own (fsync off) in a temporary directory. */
export async function measureRatios(): Promise<Ratios> {
  return withServer({ fsync: false }, async ({ connect, install }) => {
    await install("postgres");
    const sql = connect("postgres", "postgres");
    await sql`create table public.bare_payloads (id text primary key, payload jsonb not null)`;
    return await inTurns(sql);
  });
}

/** Prints the ratios beside those recorded; records them where `DUEBASE_RECORD_RATIOS` is set. */
export async function benchRatios(): Promise<BenchRow[]> {
  if (!canMeasureCpu) throw new Error("this machine does not tell how long a process was on the CPU");
  const ratios = await measureRatios();
  if (process.env.DUEBASE_RECORD_RATIOS) writeFileSync(RECORDED, `${JSON.stringify(ratios, undefined, 2)}\n`);
  const recorded = recordedRatios();
  return Object.entries(ratios).map(([name, value]) => {
    const ratio = value / (recorded[name] ?? Number.NaN);
    return {
      name: `${name}, in time on the CPU`,
      value,
      unit: "of bare inserts",
      ratio,
      target: `at least ${LEAST_OF_RECORDED} of what was recorded`,
      met: ratio >= LEAST_OF_RECORDED,
    };
  });
}

type Work = (events: Stripe.Event[]) => Promise<void>;

async function inTurns(sql: Sql): Promise<Ratios> {
  const json = (value: unknown) => sql.json(value as JSONValue);
  const one: Work = async (events) => {
    for (const event of events) await sql`select billing.receive_event(${json(event)})`;
  };
  const many =
    (size: number): Work =>
    async (events) => {
      for (let at = 0; at < events.length; at += size)
        await sql`select billing.receive_events(${json(events.slice(at, at + size))})`;
    };
  const bare: Work = async (events) => {
    for (const event of events)
      await sql`insert into public.bare_payloads values (${event.id}, ${json(event)})`;
  };
  const subjects: [string, Work][] = [
    ["one event", one],
    ["7 events at a time", many(7)],
    ["70 events at a time", many(70)],
  ];
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  if (!backend) throw new Error("the session has no process");
  const streams = ["bare", ...subjects.map(([name]) => name)].map((name) =>
    billingEvents(name.replaceAll(" ", "_")),
  );
  const took = async (work: Work, stream: Generator<Stripe.Event>) => {
    const events = Array.from({ length: ROUND_EVENTS }, () => stream.next().value as Stripe.Event);
    const before = cpuMilliseconds(backend.pid);
    await work(events);
    return cpuMilliseconds(backend.pid) - before;
  };
  const samples = subjects.map(() => [] as number[]);
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const [bareStream, ...others] = streams;
    if (!bareStream) throw new Error("there are no events");
    const least = await took(bare, bareStream);
    for (const [index, [, work]] of subjects.entries()) {
      const stream = others[index];
      if (!stream) throw new Error("there are no events");
      const spent = await took(work, stream);
      if (round >= 0) samples[index]?.push(least / spent);
    }
  }
  const [failed] =
    await sql`select event_id, error ->> 'message' as message from billing.failed_webhooks limit 1`;
  if (failed) throw new Error(`bench event ${failed.event_id} was not projected: ${failed.message}`);
  return Object.fromEntries(
    subjects.map(([name], index) => [name, Math.round(middle(samples[index] ?? []) * 1000) / 1000]),
  );
}
