/**
 * How many signed events a whole local stack acknowledges in a second (gateway, function on Deno, Data API, PostgreSQL
 * with fsync) with 1, 4 and 16 connections that send one after another, beside the stack of an older build. Both stacks
 * run at once and are asked in turns.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import Stripe from "stripe";
import { localKeys } from "../local/keys.ts";
import { projectRoot } from "../local/project.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { checkOut, middle } from "./builds.ts";
import { deliver } from "./deliver.ts";
import { billingEvents } from "./events.ts";
import type { BenchRow } from "./report.ts";

const CONNECTIONS = [1, 4, 16];
const ROUNDS = 6;
const ROUND_EVENTS_A_CONNECTION = 40;
const LEAST_RATIO = 3;

/** What older builds call their settings. Nobody listens at that address: what is measured ends where the event is stored. */
const OLDER_NAMES = {
  STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
  STRIPE_SECRET_KEY: localKeys.stripeSecretKey,
  STRIPE_API_URL: "http://127.0.0.1:9",
  RESEND_API_KEY: localKeys.resendApiKey,
  RESEND_BASE_URL: "http://127.0.0.1:9",
  RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret,
};

/** A stack under load, with events that are its own. */
interface Side {
  stack: Stack;
  /** Where Stripe's events go. */
  url: string;
  secret: string;
  events: ReturnType<typeof billingEvents>;
}

/**
 * Takes about two minutes, with two stacks of its own on free ports.
 *
 * @param commit of the older build; any name that git knows it by
 * @throws Error where an event was not acknowledged, or one that was is not stored
 */
export async function benchSaturationAgainst(commit: string): Promise<BenchRow[]> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  await chmod(directory, 0o755);
  const sides: Side[] = [];
  try {
    // Functions had other names before they all began with duebase-.
    sides.push(await startSide(checkOut(commit, directory), join(directory, "older-stack")));
    sides.push(await startSide(projectRoot, join(directory, "current-stack")));
    const [older, current] = sides as [Side, Side];
    const rows: BenchRow[] = [];
    for (const connections of CONNECTIONS) rows.push(...(await inTurns(commit, connections, older, current)));
    return rows;
  } finally {
    for (const { stack } of sides) await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function startSide(projectDirectory: string, directory: string): Promise<Side> {
  const stack = await startStack({
    projectDirectory,
    directory,
    ports: { api: 0, db: 0, studio: 0, stripe: 0, inbox: 0 },
    watch: false,
    functionEnv: OLDER_NAMES,
  });
  await leaveEffectsAlone(stack);
  const { names } = stack.functions;
  const name = names.includes("duebase-stripe-webhook") ? "duebase-stripe-webhook" : "stripe-webhook";
  return {
    stack,
    url: `${stack.status.FUNCTIONS_URL}/${name}`,
    secret: stack.status.STRIPE_WEBHOOK_SECRET,
    events: billingEvents("load"),
  };
}

/** Without an address the database wakes no function, and what is measured is receiving alone. */
async function leaveEffectsAlone(stack: Stack): Promise<void> {
  const sql = postgres(stack.postgres.urlFor("supabase_admin"), { max: 1, onnotice: () => {} });
  try {
    await sql`delete from vault.secrets where name = 'duebase_functions_url'`;
  } finally {
    await sql.end();
  }
}

async function inTurns(commit: string, connections: number, older: Side, current: Side): Promise<BenchRow[]> {
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
async function rate({ url, secret, events }: Side, connections: number): Promise<number> {
  const signer = new Stripe("sk_test_bench_example");
  const deliveries = Array.from({ length: connections * ROUND_EVENTS_A_CONNECTION }, () => {
    const payload = JSON.stringify(events.next().value);
    return { payload, header: signer.webhooks.generateTestHeaderString({ payload, secret }) };
  });
  const count = deliveries.length;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  const connection = async () => {
    for (let next = deliveries.shift(); next; next = deliveries.shift()) {
      await deliver(agent, url, next.payload, next.header, performance.now());
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, connection));
    return (1000 * count) / (performance.now() - started);
  } finally {
    agent.destroy();
  }
}
