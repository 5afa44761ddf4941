import type { LoggedEvent } from "./events.ts";
import { signedHeaders } from "./signature.ts";

/** How deliveries are made; tests bend these. */
export interface DeliveryOptions {
  /** Posts under way at the same time. More than one, and events can overtake each other, as Resend's do. */
  concurrency: number;
  /**
   * Milliseconds to wait after each failed attempt; after the last one the event is given up. Resend itself waits
   * 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h (https://resend.com/docs/webhooks/retries-and-replays).
   */
  retryMilliseconds: number[];
  timeoutMilliseconds: number;
}

export const defaultDelivery: DeliveryOptions = {
  concurrency: 4,
  retryMilliseconds: [250, 500, 1000, 2000, 5000, 10_000, 30_000],
  timeoutMilliseconds: 15_000,
};

/** One attempt, as it went. `status` is null where no answer came. */
export interface Attempt {
  eventId: string;
  type: string;
  url: string;
  attempt: number;
  status: number | null;
}

export interface ReleaseOptions {
  /** Give the order to this seed. */
  shuffle?: number;
  /** Send each this many times. */
  copies?: number;
}

interface Delivery {
  event: LoggedEvent;
  url: string;
  attempts: number;
}

/** In an order that a seed fixes: each element is drawn from those left, by a linear congruential generator. */
function shuffled<T>(list: T[], seed: number): T[] {
  const left = [...list];
  let state = seed >>> 0;
  return list.flatMap(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return left.splice(Math.floor((state / 2 ** 32) * left.length), 1);
  });
}

/** Sends events to endpoints: signed, a few at a time, again if not answered with 2xx. */
export class Webhooks {
  /** Every event there was, in the order they happened. */
  readonly events: LoggedEvent[] = [];
  readonly attempts: Attempt[] = [];
  options: DeliveryOptions;
  private readonly urls: string[];
  private readonly key: Buffer;
  private queue: Delivery[] = [];
  private heldBack: Delivery[] = [];
  private holding = false;
  private dropping = false;
  private inFlight = new Set<Promise<void>>();
  private readonly retries = new Map<Delivery, NodeJS.Timeout>();
  private waiting: (() => void)[] = [];
  private readonly closing = new AbortController();

  constructor(urls: string[], key: Buffer, options: Partial<DeliveryOptions> = {}) {
    this.urls = urls;
    this.key = key;
    this.options = { ...defaultDelivery, ...options };
  }

  /** Note an event and send it to every endpoint. */
  send(event: LoggedEvent): void {
    this.events.push(event);
    if (!this.dropping) this.enqueue(event);
  }

  private enqueue(event: LoggedEvent): void {
    const line = this.holding ? this.heldBack : this.queue;
    line.push(...this.urls.map((url) => ({ event, url, attempts: 0 })));
    // After the call that made the event: its answer and its webhook race each other, as at Resend.
    setImmediate(() => this.pump());
  }

  /** Keep events back until `release`. */
  hold(): void {
    this.holding = true;
    this.heldBack.push(...this.queue.splice(0));
  }

  /** Events kept back, in the order they happened. */
  get held(): LoggedEvent[] {
    return [...new Set(this.heldBack.map((delivery) => delivery.event))];
  }

  /** Send what was kept back, in this or another order, once or several times each. */
  release({ shuffle, copies = 1 }: ReleaseOptions = {}): void {
    this.holding = false;
    const all = this.heldBack
      .splice(0)
      .flatMap((delivery) => Array.from({ length: copies }, () => ({ ...delivery })));
    this.queue.push(...(shuffle === undefined ? all : shuffled(all, shuffle)));
    this.pump();
  }

  /** Lose events from now on: they are noted and never sent. */
  drop(): void {
    this.dropping = true;
  }

  /** Lose no more events. */
  stopDropping(): void {
    this.dropping = false;
  }

  /**
   * Send an event once more, as the Replay button does.
   *
   * @throws if there was no event of that id
   */
  resend(eventId: string): void {
    const event = this.events.find(({ id }) => id === eventId);
    if (!event) throw new Error(`no event ${eventId}`);
    this.enqueue(event);
  }

  private pump(): void {
    while (!this.closing.signal.aborted && this.inFlight.size < this.options.concurrency) {
      const delivery = this.queue.shift();
      if (!delivery) break;
      const sending = this.deliver(delivery).finally(() => {
        this.inFlight.delete(sending);
        this.pump();
      });
      this.inFlight.add(sending);
    }
    if (this.idle) for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async deliver(delivery: Delivery): Promise<void> {
    const { event, url } = delivery;
    delivery.attempts += 1;
    const status = await this.post(event, url);
    this.attempts.push({
      eventId: event.id,
      type: event.payload.type,
      url,
      attempt: delivery.attempts,
      status,
    });
    if (status === null || status < 200 || status >= 300) this.retry(delivery);
  }

  private async post(event: LoggedEvent, url: string): Promise<number | null> {
    const body = JSON.stringify(event.payload);
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          "user-agent": "Svix-Webhooks/1.0",
          ...signedHeaders(event.id, body, this.key, Math.floor(Date.now() / 1000)),
        },
        body,
        signal: AbortSignal.any([this.closing.signal, AbortSignal.timeout(this.options.timeoutMilliseconds)]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  private retry(delivery: Delivery): void {
    const wait = this.options.retryMilliseconds[delivery.attempts - 1];
    if (wait === undefined || this.closing.signal.aborted) return;
    const timer = setTimeout(() => {
      this.retries.delete(delivery);
      this.queue.push(delivery);
      this.pump();
    }, wait);
    this.retries.set(delivery, timer);
  }

  /** Nothing queued, under way or to be tried again. What is held back or dropped does not count. */
  get idle(): boolean {
    return this.queue.length === 0 && this.inFlight.size === 0 && this.retries.size === 0;
  }

  /** Resolves when nothing is left to deliver. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      setImmediate(() => this.pump());
    });
  }

  /** Stop: what is under way is cut off, what waits is not sent. */
  async close(): Promise<void> {
    this.closing.abort();
    for (const timer of this.retries.values()) clearTimeout(timer);
    this.retries.clear();
    this.queue = [];
    await Promise.all(this.inFlight);
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
