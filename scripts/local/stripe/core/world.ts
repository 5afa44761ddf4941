import type { EventLog } from "./event-log.ts";
import type { Jobs } from "./jobs.ts";
import type { EffectKind, Ledger } from "./ledger.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { PaymentIntent, SetupIntent } from "./wire.ts";

/** The request being served; null while Stripe acts by itself. */
export interface CurrentRequest {
  id: string;
  idempotencyKey: string | null;
  /** `Stripe-Version`: by which rules the caller asks. The account's own where they do not say. */
  apiVersion: string;
}

/** What billing and checkout do about a payment; wired in server.ts, so that payments know of neither. */
export interface Reactions {
  intentSucceeded(world: World, intent: PaymentIntent): void;
  /** A payment that was under way (a debit, an authentication) came to nothing. */
  intentFailed(world: World, intent: PaymentIntent): void;
  setupSucceeded(world: World, intent: SetupIntent): void;
}

/** One Stripe account: its objects, its clocks, and what is told to whom. Passed to everything that acts. */
export interface World {
  /** Id of the account where it is a connected one: its events name it. */
  connectedAccount: string | null;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly events: EventLog;
  readonly ledger: Ledger;
  readonly settings: Settings;
  /** The version whose shapes objects have. */
  readonly apiVersion: string;
  /** Signing secrets, by webhook endpoint. */
  readonly secrets: Map<string, string>;
  /** Webhook endpoints that get thin events, which carry no object. */
  readonly thinEndpoints: Set<string>;
  /** Webhook endpoints that get the events of connected accounts, and not the account's own. */
  readonly connectedEndpoints: Set<string>;
  /** Where this server is reached; links in objects (hosted pages, receipts) point there. */
  publicUrl: string;
  request: CurrentRequest | null;
  readonly reactions: Reactions;
  /** The moment a clock stands at while it moves; "" is real time. See billing/timeline.ts. */
  readonly moments: Map<string, number>;
  /** Real time, in seconds. */
  wallSeconds(): number;
  /** Send an event once more: to one endpoint, or to all that want it. */
  resend(event: string, endpoint: string | null): void;
  /** Move a test clock to a time, after the call that asked for it is answered. */
  advance(clock: string, target: number): void;
}

/** Whatever says under which clock it lives: by itself or through its customer. */
export interface Clocked {
  test_clock?: string | null;
  customer?: string | null;
}

/** The test clock of an object, or null for real time. */
export function clockOf(world: World, subject: Clocked | null): string | null {
  if (!subject) return null;
  if (subject.test_clock !== undefined) return subject.test_clock;
  if (!subject.customer) return null;
  return world.store.get("customer", subject.customer)?.test_clock ?? null;
}

/** Seconds, by a test clock or (null) in real time. */
export function timeAt(world: World, clock: string | null): number {
  const moment = world.moments.get(clock ?? "");
  if (moment !== undefined) return moment;
  if (clock === null) return world.wallSeconds();
  return world.store.get("test_helpers.test_clock", clock)?.frozen_time ?? world.wallSeconds();
}

/** Seconds, as the object sees the time. */
export function timeOf(world: World, subject: Clocked | null): number {
  return timeAt(world, clockOf(world, subject));
}

/** Whether the call being served asks by the rules of a version (a date such as `2025-09-30`) or a later one. */
export function asksSince(world: World, date: string): boolean {
  return (world.request?.apiVersion ?? world.apiVersion).slice(0, date.length) >= date;
}

/** Note in the ledger what was done. */
export function recordEffect(
  world: World,
  kind: EffectKind,
  object: { id: string; customer?: string | null; currency?: string | null; test_clock?: string | null },
  amount: number | null,
  detail: string | null = null,
): void {
  world.ledger.recordEffect({
    kind,
    object: object.id,
    customer: object.customer ?? null,
    amount,
    currency: object.currency ?? null,
    at: timeOf(world, object),
    request: world.request?.id ?? null,
    detail,
  });
}
