import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import Stripe from "stripe";
import { openPort, originOf } from "../listen.ts";
import { Faults } from "../service/faults.ts";
import { IdempotencyKeys, type KeptAnswer } from "../service/idempotency.ts";
import type { DeliveryOptions } from "../service/webhooks.ts";
import { adopt, type ToldObject } from "./adopt.ts";
import { createApp } from "./app.ts";
import { noteLateFailure } from "./billing/collection.ts";
import { markPaid } from "./billing/invoices.ts";
import { runDue } from "./billing/timeline.ts";
import { afterSessionPayment } from "./checkout/completion.ts";
import { EventLog, type LoggedEvent } from "./core/event-log.ts";
import { emit } from "./core/events.ts";
import { newId } from "./core/ids.ts";
import { type Job, Jobs } from "./core/jobs.ts";
import { Ledger } from "./core/ledger.ts";
import { defaultSettings, type Settings } from "./core/settings.ts";
import { Snapshot } from "./core/snapshot.ts";
import { Store, type StoreDump } from "./core/store.ts";
import type { Invoice, PaymentIntent } from "./core/wire.ts";
import type { World } from "./core/world.ts";
import type { FaultAction } from "./http/faults.ts";
import { keyRules, type Replay } from "./http/idempotency.ts";
import { Params } from "./http/params.ts";
import { createEndpoint } from "./resources/webhook-endpoints.ts";
import { includable, routes } from "./routes.ts";
import { type DeliveryDump, StripeWebhooks } from "./webhooks/delivery.ts";

/** Where a local Stripe listens, what it keeps, whom it tells, and how it behaves. */
export interface LocalStripeOptions {
  /** 0 takes a free one. */
  port: number;
  /** 127.0.0.1 where absent. */
  hostname?: string;
  /** Keeps everything across restarts; in memory only where absent. */
  stateFile?: string;
  /** The one secret key that is accepted; any `sk_test_…` where absent. */
  apiKey?: string;
  /** Real time, for whatever lives under no test clock. */
  now?: () => Date;
  log?: (line: string) => void;
  /** Endpoints that get every event, with secrets known beforehand. */
  webhooks?: { url: string; secret: string }[];
  delivery?: Partial<DeliveryOptions>;
  settings?: Partial<Settings>;
  /** The account is connected to a platform's, whose key it is: only who names it in `Stripe-Account` finds what it has. */
  isConnected?: boolean;
}

/** A local Stripe that runs, and what a test can do with it. */
export interface LocalStripe {
  url: string;
  port: number;
  /** Id of the account (acct_…). */
  account: string;
  /** What was asked and what was done, in order. */
  ledger: Ledger;
  /** What is to go wrong. */
  faults: Faults<FaultAction>;
  /** How events travel: hold, release, drop, resend. */
  webhooks: StripeWebhooks;
  idempotency: IdempotencyKeys<Replay>;
  /** What its dashboard decides; may be changed at any time. */
  settings: Settings;
  /** Every event, in the order they happened. */
  events: EventLog;
  /** Takes in objects that somebody else told of, such as a seed's, without telling anybody; see adopt.ts. */
  adopt(told: readonly ToldObject[]): void;
  /** Do what is due in real time now, instead of within a second. */
  tick(): void;
  /** Resolves when no clock is moving and no delivery is queued, under way or waiting for its retry. */
  settled(): Promise<void>;
  /** Stop, after writing the state file. */
  close(): Promise<void>;
}

interface State {
  store: StoreDump;
  events: LoggedEvent[];
  jobs: Job[];
  secrets: [string, string][];
  thinEndpoints?: string[];
  connectedEndpoints?: string[];
  idempotency: KeptAnswer<Replay>[];
  webhooks: DeliveryDump;
  /** Where the server was reached; links in objects lead there. */
  publicUrl: string;
}

/** How often real time is looked at, in milliseconds. */
const tickMilliseconds = 500;

function invoiceFor(world: World, intent: PaymentIntent): Invoice | undefined {
  const payment = world.store.related("invoice_payment", "payment_intent", intent.id)[0];
  return payment ? world.store.get("invoice", payment.invoice) : undefined;
}

function createWorld(options: LocalStripeOptions): World {
  const now = options.now ?? (() => new Date());
  return {
    connectedAccount: null,
    store: new Store(),
    jobs: new Jobs(),
    events: new EventLog(),
    ledger: new Ledger(),
    settings: { ...defaultSettings, ...options.settings },
    apiVersion: Stripe.API_VERSION,
    secrets: new Map(),
    thinEndpoints: new Set(),
    connectedEndpoints: new Set(),
    publicUrl: "",
    request: null,
    moments: new Map(),
    wallSeconds: () => Math.floor(now().getTime() / 1000),
    resend: () => {},
    advance: () => {},
    reactions: {
      intentSucceeded(world, intent) {
        const invoice = invoiceFor(world, intent);
        if (invoice) markPaid(world, invoice);
        afterSessionPayment(world, intent, true);
      },
      intentFailed(world, intent) {
        const invoice = invoiceFor(world, intent);
        if (invoice) noteLateFailure(world, invoice);
        afterSessionPayment(world, intent, false);
      },
      setupSucceeded() {},
    },
  };
}

/** The account whose world it is, made where there is none yet. Returns its id. */
function addAccount(world: World): string {
  const [known] = world.store.all("account");
  if (known) return known.id;
  const account = world.store.insert<"account">({
    id: newId("acct"),
    object: "account",
    business_type: "company",
    charges_enabled: true,
    country: "US",
    created: world.wallSeconds(),
    default_currency: "usd",
    details_submitted: true,
    email: "billing@example.com",
    metadata: {},
    payouts_enabled: true,
    type: "standard",
  });
  return account.id;
}

/** What a platform of its own has: an account, and nothing else. */
function createPlatform(options: LocalStripeOptions): World {
  const platform = createWorld(options);
  addAccount(platform);
  return platform;
}

/** Marks the endpoints that were named at the start, so that the next start knows them again. */
const configured = { configured: "at start" };

/** Have exactly these endpoints, besides those made through the API; their ports may have changed since. */
function addEndpoints(world: World, webhooks: { url: string; secret: string }[]): void {
  const known = world.store.where(
    "webhook_endpoint",
    (it) => it.metadata.configured === configured.configured,
  );
  for (const { url, secret } of webhooks) {
    const endpoint = known.shift();
    if (endpoint) {
      endpoint.url = url;
      world.secrets.set(endpoint.id, secret);
    } else createEndpoint(world, new Params({ url, enabled_events: ["*"], metadata: configured }), secret);
  }
  for (const { id } of known) world.store.delete("webhook_endpoint", id);
}

/**
 * Start a Stripe of one's own: test mode only, on this machine only.
 *
 * @throws if the port is taken, or the state file is not one of ours or cannot be read or written
 */
export async function startLocalStripe(options: LocalStripeOptions): Promise<LocalStripe> {
  const world = createWorld(options);
  const idempotency = new IdempotencyKeys<Replay>(keyRules);
  const faults = new Faults<FaultAction>();
  const closing = new AbortController();
  let snapshot: Snapshot | null = null;
  const save = (): void => snapshot?.schedule();
  const webhooks = new StripeWebhooks(world, options.delivery ?? {}, save);
  world.resend = (event, endpoint) => webhooks.resend(event, endpoint);

  const collect = (): State => ({
    store: world.store.dump(),
    events: world.events.dump(world.wallSeconds()),
    jobs: world.jobs.dump(),
    secrets: [...world.secrets],
    thinEndpoints: [...world.thinEndpoints],
    connectedEndpoints: [...world.connectedEndpoints],
    idempotency: idempotency.dump(),
    webhooks: webhooks.dump(),
    publicUrl: world.publicUrl,
  });
  let formerUrl = "";
  if (options.stateFile) {
    snapshot = new Snapshot(options.stateFile, collect);
    const state = snapshot.read<State>();
    if (state) {
      world.store.restore(state.store);
      world.events.restore(state.events);
      world.jobs.restore(state.jobs);
      for (const [id, secret] of state.secrets) world.secrets.set(id, secret);
      for (const id of state.thinEndpoints ?? []) world.thinEndpoints.add(id);
      for (const id of state.connectedEndpoints ?? []) world.connectedEndpoints.add(id);
      idempotency.restore(state.idempotency);
      webhooks.restore(state.webhooks);
      formerUrl = state.publicUrl;
    }
  }
  const account = addAccount(world);
  if (options.isConnected) world.connectedAccount = account;
  addEndpoints(world, options.webhooks ?? []);

  let advancing = 0;
  let waiting: (() => void)[] = [];
  const finishAdvance = (id: string, target: number): void => {
    advancing -= 1;
    runDue(world, id, target);
    world.moments.delete(id);
    const clock = world.store.get("test_helpers.test_clock", id);
    if (clock) {
      clock.status = "ready";
      clock.status_details = {};
      emit(world, "test_helpers.test_clock.ready", clock);
    }
    save();
    if (advancing > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  world.advance = (id, target) => {
    advancing += 1;
    setImmediate(() => finishAdvance(id, target));
  };
  // A clock that was moving when the last run ended goes on.
  for (const clock of world.store.where("test_helpers.test_clock", (it) => it.status === "advancing")) {
    world.advance(clock.id, clock.status_details.advancing?.target_frozen_time ?? clock.frozen_time);
  }

  const tick = (): void => {
    if (runDue(world, "") > 0) save();
  };
  const afterRequest = (): void => {
    for (const clock of world.jobs.takeTouched()) {
      if (!world.moments.has(clock)) runDue(world, clock);
    }
    save();
  };

  const app = createApp({
    world,
    platform: options.isConnected ? createPlatform(options) : null,
    routes,
    includable,
    idempotency,
    faults,
    apiKey: options.apiKey ?? null,
    calls: { second: 0, answered: 0 },
    onChange: afterRequest,
    closing: closing.signal,
    log: options.log ?? (() => {}),
  });
  const hostname = options.hostname ?? "127.0.0.1";
  const server = createServer(getRequestListener(app.fetch));
  const { port, close } = await openPort(server, options.port, hostname);
  world.publicUrl = originOf(hostname, port);
  if (formerUrl !== "" && formerUrl !== world.publicUrl)
    world.store.rewrite(`${formerUrl}/`, `${world.publicUrl}/`);
  // A file that cannot be written is told at the start, and not once there is something to lose.
  await snapshot?.flush().catch(async (cause) => {
    await close();
    throw new Error(`the state file cannot be written: ${String(cause)}`, { cause });
  });
  const timer = setInterval(tick, tickMilliseconds);
  timer.unref();

  return {
    url: world.publicUrl,
    port,
    account,
    ledger: world.ledger,
    faults,
    webhooks,
    idempotency,
    settings: world.settings,
    events: world.events,
    adopt(told) {
      adopt(world, told);
      save();
    },
    tick,
    async settled() {
      if (advancing > 0) await new Promise<void>((resolve) => waiting.push(resolve));
      await webhooks.drained();
    },
    async close() {
      closing.abort();
      clearInterval(timer);
      await webhooks.close();
      await close();
      await snapshot?.flush();
    },
  };
}
