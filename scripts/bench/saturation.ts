/**
 * How many signed events a whole local stack acknowledges in a second (gateway, function on Deno, Data API, PostgreSQL
 * with fsync) with 1, 4 and 16 connections that send one after another, beside the stack of an older build, and how much
 * memory the function holds meanwhile. Both stacks run at once and are asked in turns.
 */
import { Agent } from "node:http";
import { middle } from "./builds.ts";
import { deliver } from "./deliver.ts";
import { benchKills } from "./kills.ts";
import type { BenchRow } from "./report.ts";
import { mostMemory, type StackUnderLoad, withStacks } from "./stacks.ts";

const CONNECTIONS = [1, 4, 16];
const ROUNDS = 6;
const ROUND_EVENTS_A_CONNECTION = 40;
const LEAST_RATIO = 3;
const MOST_MEGABYTES = 128;

/**
 * Takes about three minutes, with two stacks of its own on free ports. At the end the current build's function and
 * database are killed in turn under the same load.
 *
 * @param commit of the older build; any name that git knows it by
 * @throws Error where an event was not acknowledged, or one that was is not stored
 */
export async function benchSaturationAgainst(commit: string): Promise<BenchRow[]> {
  return withStacks(commit, async (older, current) => {
    const rows: BenchRow[] = [];
    for (const connections of CONNECTIONS) rows.push(...(await inTurns(commit, connections, older, current)));
    rows.push(...memoryRows(commit, older, current));
    for (const connections of CONNECTIONS) rows.push(await benchKills(current, connections));
    return rows;
  });
}

async function inTurns(
  commit: string,
  connections: number,
  older: StackUnderLoad,
  current: StackUnderLoad,
): Promise<BenchRow[]> {
  const rates: [number, number][] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const pair: [number, number] = [await rate(older, connections), await rate(current, connections)];
    if (round >= 0) rates.push(pair);
  }
  const ratio = middle(rates.map(([before, now]) => now / before));
  const name = `acknowledged, ${connections} connection${connections === 1 ? "" : "s"}`;
  return [
    { name: `${name}, ${commit}`, value: middle(rates.map(([before]) => before)), unit: "events/s" },
    {
      name: `${name}, now`,
      value: middle(rates.map(([, now]) => now)),
      unit: "events/s",
      ratio,
      ...(connections === Math.max(...CONNECTIONS)
        ? { target: `at least ${LEAST_RATIO} of ${commit}`, met: ratio >= LEAST_RATIO }
        : {}),
    },
  ];
}

/** Acknowledged events a second of one round; each connection sends its next when the last was answered. */
async function rate({ url, nextEvent }: StackUnderLoad, connections: number): Promise<number> {
  const deliveries = Array.from({ length: connections * ROUND_EVENTS_A_CONNECTION }, nextEvent);
  const count = deliveries.length;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  const connection = async () => {
    for (let next = deliveries.shift(); next; next = deliveries.shift()) {
      await deliver(agent, url, next.payload, next.signature, performance.now());
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, connection));
    return (1000 * count) / (performance.now() - started);
  } finally {
    agent.destroy();
  }
}

function memoryRows(commit: string, older: StackUnderLoad, current: StackUnderLoad): BenchRow[] {
  const [before, now] = [mostMemory(older.webhook), mostMemory(current.webhook)];
  if (before === undefined || now === undefined) return [];
  const name = "memory of the function's process, the most it held";
  return [
    { name: `${name}, ${commit}`, value: before, unit: "MB" },
    {
      name: `${name}, now`,
      value: now,
      unit: "MB",
      ratio: now / before,
      target: `under ${MOST_MEGABYTES} MB`,
      met: now < MOST_MEGABYTES,
    },
  ];
}
