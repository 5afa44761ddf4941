/**
 * How fast Stripe gets its answer: signed events at a fixed rate, open loop, through the whole local stack
 * (gateway, function on Deno, Data API, PostgreSQL with fsync). A late answer does not slow the next request down.
 */
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { middle } from "./builds.ts";
import { deliver } from "./deliver.ts";
import { type BenchRow, percentile } from "./report.ts";
import { type StackUnderLoad, withStack, withStacks } from "./stacks.ts";

const EVENTS_PER_SECOND = 50;
const SECONDS = 15;
const WARM_UP_SECONDS = 3;
const MOST_P50_MS = 25;
const MOST_P99_MS = 50;
/** Beside an older build: so many rounds of so many seconds each. */
const ROUNDS = 6;
const ROUND_SECONDS = 5;

/** Takes about half a minute, with a stack of its own on free ports. */
export function benchAcknowledgement(): Promise<BenchRow[]> {
  return withStack(async (current) => {
    const samples = await acknowledgements(current, WARM_UP_SECONDS + SECONDS);
    return rowsOf("", samples.slice(EVENTS_PER_SECOND * WARM_UP_SECONDS));
  });
}

/**
 * Takes about a minute and a half, with two stacks of its own on free ports, which get the same events in turns.
 *
 * @param commit of the older build; any name that git knows it by
 * @throws Error where an event was not acknowledged, or where two transactions of the current build were in a deadlock
 */
export function benchAcknowledgementAgainst(commit: string): Promise<BenchRow[]> {
  return withStacks(commit, async (older, current) => {
    const rounds: [before: number[], now: number[]][] = [];
    for (let round = -1; round < ROUNDS; round++) {
      const before = await acknowledgements(older, ROUND_SECONDS);
      const now = await acknowledgements(current, ROUND_SECONDS);
      if (round >= 0) rounds.push([before, now]);
    }
    await expectNoDeadlock(current);
    const ratio = middle(rounds.map(([before, now]) => percentile(now, 0.5) / percentile(before, 0.5)));
    const name = `acknowledgement at ${EVENTS_PER_SECOND} events/s`;
    const before = rounds.flatMap(([samples]) => samples);
    return [
      { name: `${name}, p50, ${commit}`, value: percentile(before, 0.5), unit: "ms" },
      { name: `${name}, p99, ${commit}`, value: percentile(before, 0.99), unit: "ms" },
      ...rowsOf(
        ", now",
        rounds.flatMap(([, samples]) => samples),
      ),
      {
        name: `${name}, p50 beside ${commit}`,
        value: ratio,
        unit: "of its time",
        ratio,
        target: "not longer",
        met: ratio <= 1,
      },
    ];
  });
}

/** Milliseconds from when an event was due until its answer, for each of some seconds' events. */
async function acknowledgements({ url, nextEvent }: StackUnderLoad, seconds: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  try {
    const latencies: Promise<number>[] = [];
    const started = performance.now();
    for (let index = 0; index < EVENTS_PER_SECOND * seconds; index++) {
      const due = started + (index * 1000) / EVENTS_PER_SECOND;
      await sleep(Math.max(0, due - performance.now()));
      const { payload, signature } = nextEvent();
      latencies.push(deliver(agent, url, payload, signature, due));
    }
    return await Promise.all(latencies);
  } finally {
    agent.destroy();
  }
}

function rowsOf(build: string, samples: number[]): BenchRow[] {
  const [p50, p99] = [percentile(samples, 0.5), percentile(samples, 0.99)];
  const row = (which: string, value: number, most: number): BenchRow => ({
    name: `acknowledgement at ${EVENTS_PER_SECOND} events/s, ${which}${build}`,
    value,
    unit: "ms",
    target: `under ${most} ms`,
    met: value < most,
  });
  return [row("p50", p50, MOST_P50_MS), row("p99", p99, MOST_P99_MS)];
}

async function expectNoDeadlock({ sql }: StackUnderLoad): Promise<void> {
  const [counted] = await sql<{ deadlocks: number }[]>`
    select deadlocks::integer from pg_stat_database where datname = current_database()
  `;
  if (counted?.deadlocks !== 0) throw new Error(`${counted?.deadlocks} deadlocks while events were received`);
}
