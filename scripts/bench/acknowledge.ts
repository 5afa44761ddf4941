/**
 * How fast Stripe gets its answer: signed events at a fixed rate, open loop, through the whole local stack
 * (gateway, function on Deno, Data API, PostgreSQL with fsync). A late answer does not slow the next request down.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { startStack } from "../local/stack.ts";
import { deliver } from "./deliver.ts";
import { billingEvents } from "./events.ts";
import { type BenchRow, percentile } from "./report.ts";

const EVENTS_PER_SECOND = 50;
const SECONDS = 15;
const WARM_UP_SECONDS = 3;
const MOST_P50_MS = 25;
const MOST_P99_MS = 100;

/** Takes about half a minute, with a stack of its own on free ports. */
export async function benchAcknowledgement(): Promise<BenchRow[]> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  const stack = await startStack({ directory, ports: { api: 0, db: 0, studio: 0, stripe: 0 }, watch: false });
  const agent = new Agent({ keepAlive: true });
  try {
    const latencies: Promise<number>[] = [];
    const signer = new Stripe("sk_test_bench_example");
    const events = billingEvents("ack");
    const started = performance.now();
    const total = EVENTS_PER_SECOND * (WARM_UP_SECONDS + SECONDS);
    for (let index = 0; index < total; index++) {
      const due = started + (index * 1000) / EVENTS_PER_SECOND;
      await sleep(Math.max(0, due - performance.now()));
      const payload = JSON.stringify(events.next().value);
      const header = signer.webhooks.generateTestHeaderString({
        payload,
        secret: stack.status.STRIPE_WEBHOOK_SECRET,
      });
      latencies.push(
        deliver(agent, `${stack.status.FUNCTIONS_URL}/duebase-stripe-webhook`, payload, header, due),
      );
    }
    const samples = (await Promise.all(latencies)).slice(EVENTS_PER_SECOND * WARM_UP_SECONDS);
    const [p50, p99] = [percentile(samples, 0.5), percentile(samples, 0.99)];
    const name = `acknowledgement at ${EVENTS_PER_SECOND} events/s`;
    return [
      {
        name: `${name}, p50`,
        value: p50,
        unit: "ms",
        target: `under ${MOST_P50_MS} ms`,
        met: p50 < MOST_P50_MS,
      },
      {
        name: `${name}, p99`,
        value: p99,
        unit: "ms",
        target: `under ${MOST_P99_MS} ms`,
        met: p99 < MOST_P99_MS,
      },
    ];
  } finally {
    agent.destroy();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
