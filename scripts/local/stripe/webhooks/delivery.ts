import type { StripeEvent, WebhookEndpoint } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { Queue } from "./queue.ts";
import { signatureHeader } from "./signature.ts";

/** An event on its way to one endpoint. */
export interface Delivery {
  eventId: string;
  endpointId: string;
  attempts: number;
}

/** How deliveries are made; tests bend these. */
export interface DeliveryOptions {
  /** Posts under way at the same time. */
  concurrency: number;
  /** Milliseconds to wait before each further attempt; after the last one Stripe gives up. */
  retryMilliseconds: number[];
  timeoutMilliseconds: number;
}

export const defaultDelivery: DeliveryOptions = {
  concurrency: 4,
  retryMilliseconds: [250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000],
  timeoutMilliseconds: 20_000,
};

/** One attempt, as it went. `status` is null where no answer came. */
export interface Attempt {
  eventId: string;
  type: string;
  endpointId: string;
  url: string;
  attempt: number;
  status: number | null;
  /** Milliseconds. */
  duration: number;
}

export interface ReleaseOptions {
  /** Give the order to this seed. */
  shuffle?: number;
  /** Send each this many times. */
  copies?: number;
}

function wants(endpoint: WebhookEndpoint, type: string): boolean {
  if (endpoint.status !== "enabled") return false;
  return endpoint.enabled_events.some((wanted) => wanted === "*" || wanted === type);
}

/** Numbers from 0 to 1 that a seed fixes (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled<T>(list: T[], seed: number): T[] {
  const random = seededRandom(seed);
  return list
    .map((element) => ({ element, rank: random() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ element }) => element);
}

/** Sends events to the endpoints that asked for them: signed, a few at a time, again if not answered with 2xx. */
export class Webhooks {
  readonly attempts: Attempt[] = [];
  options: DeliveryOptions;
  private readonly world: World;
  private readonly onSettled: () => void;
  private readonly queue = new Queue<Delivery>();
  private readonly heldBack = new Queue<Delivery>();
  private holding = false;
  private dropping: { matches: (event: StripeEvent) => boolean; times: number }[] = [];
  private inFlight = 0;
  private readonly retries = new Map<Delivery, NodeJS.Timeout>();
  private readonly undelivered = new Map<string, Set<string>>();
  private waiting: (() => void)[] = [];
  private closed = false;
  private readonly aborting = new AbortController();

  constructor(world: World, options: Partial<DeliveryOptions>, onSettled: () => void) {
    this.world = world;
    this.options = { ...defaultDelivery, ...options };
    this.onSettled = onSettled;
    world.events.onEvent = (event) => this.accept(event);
  }

  /** Queue an event for every endpoint that wants it; returns how many do. */
  private accept(event: StripeEvent): number {
    const endpoints = this.world.store.where("webhook_endpoint", (endpoint) => wants(endpoint, event.type));
    if (endpoints.length === 0) return 0;
    this.undelivered.set(event.id, new Set(endpoints.map((endpoint) => endpoint.id)));
    const drop = this.dropping.find((rule) => rule.times > 0 && rule.matches(event));
    if (drop) {
      drop.times -= 1;
      return endpoints.length;
    }
    for (const endpoint of endpoints) {
      this.enqueue({ eventId: event.id, endpointId: endpoint.id, attempts: 0 });
    }
    return endpoints.length;
  }

  private enqueue(delivery: Delivery): void {
    (this.holding ? this.heldBack : this.queue).push(delivery);
    // After the call that made the event has been answered, as at Stripe.
    setImmediate(() => this.pump());
  }

  /** Keep new events back until `release`. */
  hold(): void {
    this.holding = true;
    for (const delivery of this.queue.drain()) this.heldBack.push(delivery);
  }

  /** Events kept back, in the order they happened. */
  get held(): StripeEvent[] {
    return [...this.heldBack].flatMap((delivery) => this.world.events.get(delivery.eventId) ?? []);
  }

  /** Send what was kept back, in this or another order, once or several times each. */
  release({ shuffle, copies = 1 }: ReleaseOptions = {}): void {
    this.holding = false;
    const all = this.heldBack
      .drain()
      .flatMap((delivery) => Array.from({ length: copies }, () => ({ ...delivery })));
    const ordered = shuffle === undefined ? all : shuffled(all, shuffle);
    for (const delivery of ordered) this.queue.push(delivery);
    this.pump();
  }

  /** Lose the next events that match: they stay undelivered, and in the event list. */
  drop(matches: (event: StripeEvent) => boolean = () => true, times = Number.POSITIVE_INFINITY): void {
    this.dropping.push({ matches, times });
  }

  /** Lose no more events. */
  stopDropping(): void {
    this.dropping = [];
  }

  /** Send an event once more, as `stripe events resend` does. */
  resend(eventId: string, endpointId: string | null = null): void {
    const event = this.world.events.get(eventId);
    if (!event) throw new Error(`no event ${eventId}`);
    const endpoints = this.world.store.where(
      "webhook_endpoint",
      (it) => wants(it, event.type) && (endpointId === null || it.id === endpointId),
    );
    for (const endpoint of endpoints) this.enqueue({ eventId, endpointId: endpoint.id, attempts: 0 });
  }

  /** True once every endpoint has answered 2xx; undefined where none wanted it. */
  delivered(event: StripeEvent): boolean {
    return (this.undelivered.get(event.id)?.size ?? 0) === 0;
  }

  private pump(): void {
    while (!this.closed && this.inFlight < this.options.concurrency) {
      const delivery = this.queue.shift();
      if (!delivery) break;
      this.inFlight += 1;
      void this.deliver(delivery).finally(() => {
        this.inFlight -= 1;
        this.pump();
      });
    }
    this.settle();
  }

  private async deliver(delivery: Delivery): Promise<void> {
    const event = this.world.events.get(delivery.eventId);
    const endpoint = this.world.store.get("webhook_endpoint", delivery.endpointId);
    const secret = this.world.secrets.get(delivery.endpointId);
    if (!event || !endpoint || secret === undefined || endpoint.status !== "enabled") return;
    delivery.attempts += 1;
    const started = performance.now();
    const status = await this.post(endpoint.url, JSON.stringify(event, null, 2), secret);
    this.attempts.push({
      eventId: event.id,
      type: event.type,
      endpointId: endpoint.id,
      url: endpoint.url,
      attempt: delivery.attempts,
      status,
      duration: performance.now() - started,
    });
    if (status !== null && status >= 200 && status < 300) this.acknowledge(event, endpoint.id);
    else this.retry(delivery);
  }

  private async post(url: string, payload: string, secret: string): Promise<number | null> {
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
          "stripe-signature": signatureHeader(payload, secret, Math.floor(Date.now() / 1000)),
        },
        body: payload,
        signal: AbortSignal.any([
          AbortSignal.timeout(this.options.timeoutMilliseconds),
          this.aborting.signal,
        ]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  private acknowledge(event: StripeEvent, endpointId: string): void {
    const open = this.undelivered.get(event.id);
    open?.delete(endpointId);
    event.pending_webhooks = open?.size ?? 0;
    if (open?.size === 0) this.undelivered.delete(event.id);
    this.onSettled();
  }

  private retry(delivery: Delivery): void {
    const wait = this.options.retryMilliseconds[delivery.attempts - 1];
    if (this.closed) {
      this.queue.push(delivery);
      return;
    }
    if (wait === undefined) return;
    const timer = setTimeout(() => {
      this.retries.delete(delivery);
      this.queue.push(delivery);
      this.pump();
    }, wait);
    this.retries.set(delivery, timer);
  }

  /** Nothing queued, under way or to be tried again. What is held back or dropped does not count. */
  get idle(): boolean {
    return this.queue.length === 0 && this.inFlight === 0 && this.retries.size === 0;
  }

  private settle(): void {
    if (!this.idle) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Resolves when nothing is left to deliver. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      setImmediate(() => this.pump());
    });
  }

  /** Stop; what is not delivered is in the dump. */
  async close(): Promise<void> {
    this.closed = true;
    // What was cut off is delivered again after a restart, as at Stripe: at least once.
    this.aborting.abort();
    for (const timer of this.retries.values()) clearTimeout(timer);
    while (this.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  dump(): { deliveries: Delivery[]; undelivered: [string, string[]][] } {
    return {
      deliveries: [...this.queue, ...this.heldBack, ...this.retries.keys()],
      undelivered: [...this.undelivered].map(([event, endpoints]) => [event, [...endpoints]]),
    };
  }

  restore(dump: { deliveries: Delivery[]; undelivered: [string, string[]][] }): void {
    for (const [event, endpoints] of dump.undelivered) this.undelivered.set(event, new Set(endpoints));
    for (const delivery of dump.deliveries) this.queue.push(delivery);
    setImmediate(() => this.pump());
  }
}
