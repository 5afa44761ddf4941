/**
 * Events a second with eight callers, beside the Stripe sync engine: each of ours waits at the gathering door for its own answer,
 * each of theirs for its own `processEvent`. Two databases on one server take turns with the same events.
 *
 * The sync engine keeps the newest state of an object that it was shown. It stores no event, so it keeps no order within a
 * second, counts no repetition and can replay nothing; it has no entitlements, no dunning, no audit.
 */
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type Stripe from "stripe";
import { parseEvent } from "../../supabase/functions/duebase-stripe-webhook/event.ts";
import { createGatherer } from "../../supabase/functions/duebase-stripe-webhook/gather.ts";
import { middle } from "./builds.ts";
import { billingEvents } from "./events.ts";
import type { BenchRow } from "./report.ts";
import { type BenchServer, withServer } from "./server.ts";

const PACKAGE = "@stripe/sync-engine";
const VERSION = "1.0.32";
const CONNECTIONS = 8;
const ROUNDS = 12;
const ROUND_EVENTS = 560;
const LEAST_RATIO = 2;
/** After which the same types come again. */
const EVENTS_OF_A_MONTH = 7;

/** What is called of the package. */
interface SyncEngine {
  runMigrations(config: { databaseUrl: string; schemaName: string; openApiSpecPath: string }): Promise<void>;
  StripeSync: {
    create(config: object): Promise<{
      webhook: { processEvent(event: Stripe.Event): Promise<void> };
      postgresClient: { pool: { end(): Promise<void>; on(event: "error", listener: () => void): void } };
    }>;
  };
}

/** Stores one event; resolves once it is committed. */
type Store = (event: Stripe.Event) => Promise<unknown>;

/**
 * Takes about two minutes, with a server of its own (fsync on) in a temporary directory, where npm installs the package.
 *
 * @throws Error where npm cannot have the package, or where an event was not stored
 */
export function benchSyncEngine(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async (bench) => {
    const engine = installEngine(bench.directory);
    await bench.copyDatabase("ours", "theirs");
    const ours = await startOurs(bench);
    const { store: theirs, stop } = await startTheirs(bench, engine);
    try {
      return await inTurns(ours, theirs);
    } finally {
      await stop();
    }
  });
}

function installEngine(directory: string): SyncEngine {
  const arguments_ = ["install", "--prefix", directory, "--no-audit", "--no-fund", `${PACKAGE}@${VERSION}`];
  execFileSync("npm", arguments_, { stdio: ["ignore", "ignore", "inherit"] });
  return createRequire(join(directory, "package.json"))(PACKAGE) as SyncEngine;
}

async function startOurs({ connect, install }: BenchServer): Promise<Store> {
  await install("ours");
  const sql = connect("postgres", "ours", CONNECTIONS);
  const gather = createGatherer({
    receiveEvent: async (event) => {
      const [row] = await sql`select billing.receive_event((${event}::text)::jsonb) as outcome`;
      return row?.outcome;
    },
    receiveEvents: async (events) => {
      const [row] = await sql`select billing.receive_events((${events}::text)::jsonb) as outcomes`;
      return row?.outcomes;
    },
    takeTurn: (_turn, work) => work(),
  });
  return async (event) => {
    const outcome = await gather(parseEvent(new TextEncoder().encode(JSON.stringify(event))));
    if (outcome !== "processed") throw new Error(`event ${event.id} was answered ${outcome}`);
  };
}

async function startTheirs(
  { directory, urlFor }: BenchServer,
  engine: SyncEngine,
): Promise<{ store: Store; stop(): Promise<void> }> {
  const databaseUrl = urlFor("postgres", "theirs");
  const openApiSpecPath = join(directory, "spec.json");
  await writeFile(openApiSpecPath, JSON.stringify(specOfEvents()));
  await engine.runMigrations({ databaseUrl, schemaName: "stripe", openApiSpecPath });
  const sync = await engine.StripeSync.create({
    poolConfig: { connectionString: databaseUrl, max: CONNECTIONS },
    stripeSecretKey: "sk_test_bench_example",
    stripeAccountId: "acct_bench",
    logger: { info() {}, warn() {}, error() {} },
  });
  // A connection that it has forgotten ends with the server, when all is measured.
  sync.postgresClient.pool.on("error", () => {});
  return {
    store: (event) => sync.webhook.processEvent(event),
    stop: () => sync.postgresClient.pool.end(),
  };
}

/** It makes its columns of Stripe's OpenAPI document, which it would fetch from a forge: here, of what the events carry. */
function specOfEvents(): object {
  const schemas: Record<string, object> = {};
  const events = billingEvents("spec");
  for (let count = 0; count < EVENTS_OF_A_MONTH; count++) {
    const { object } = (events.next().value as Stripe.Event).data;
    const kind = (object as { object?: string }).object ?? "";
    const properties = Object.entries(object).map(([name, value]) => [name, schemaOf(value)]);
    schemas[kind] = { type: "object", "x-resourceId": kind, properties: Object.fromEntries(properties) };
  }
  return { openapi: "3.0.0", info: { version: "2026-10-28" }, components: { schemas } };
}

function schemaOf(value: unknown): object {
  if (value === null) return { type: "string", nullable: true };
  if (Array.isArray(value)) return { type: "array" };
  return { type: typeof value === "number" ? "integer" : typeof value };
}

async function inTurns(ours: Store, theirs: Store): Promise<BenchRow[]> {
  const [ourEvents, theirEvents] = [billingEvents("load"), billingEvents("load")];
  const rates: [ours: number, theirs: number][] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const pair: [number, number] =
      round % 2 === 0
        ? [await rate(ours, ourEvents), await rate(theirs, theirEvents)]
        : ([await rate(theirs, theirEvents), await rate(ours, ourEvents)].reverse() as [number, number]);
    if (round >= 0) rates.push(pair);
  }
  const ratio = middle(rates.map(([our, their]) => our / their));
  return [
    {
      name: `${CONNECTIONS} callers, ${PACKAGE} ${VERSION}`,
      value: middle(rates.map(([, their]) => their)),
      unit: "events/s",
    },
    {
      name: `${CONNECTIONS} callers, our door and database`,
      value: middle(rates.map(([our]) => our)),
      unit: "events/s",
      ratio,
      target: `at least ${LEAST_RATIO} of ${VERSION}`,
      met: ratio >= LEAST_RATIO,
    },
  ];
}

/** Events a second of one round; each caller brings its next event when the last one is stored. */
async function rate(store: Store, events: Generator<Stripe.Event>): Promise<number> {
  const left = Array.from({ length: ROUND_EVENTS }, () => events.next().value as Stripe.Event);
  const begun = performance.now();
  const caller = async () => {
    for (let next = left.shift(); next; next = left.shift()) await store(next);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, caller));
  return (ROUND_EVENTS * 1000) / (performance.now() - begun);
}
