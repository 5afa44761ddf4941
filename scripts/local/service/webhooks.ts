import { Queue } from "./queue.ts";
import { shuffled } from "./random.ts";

/** An event on its way to one endpoint. */
export interface Delivery {
  eventId: string;
  endpointId: string;
  attempts: number;
}

/** Where events are sent. */
export interface Endpoint {
  id: string;
  url: string;
}

/** What is posted to an endpoint. */
export interface Post {
  headers: Record<string, string>;
  body: string;
}

/** How deliveries are made; tests bend these. */
export interface DeliveryOptions {
  /** Posts under way at the same time. More than one, and events can overtake each other, as the real ones do. */
  concurrency: number;
  /** Milliseconds to wait after each failed attempt; after the last one the event is given up. */
  retryMilliseconds: number[];
  timeoutMilliseconds: number;
}

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

/** In what order, and how often, events are sent that were held back. */
export interface ReleaseOptions {
  /** Give the order to this seed. */
  shuffle?: number;
  /** Send each this many times. */
  copies?: number;
}

/**
 * Sends events to endpoints: signed, a few at a time, again if not answered with 2xx. Whoever extends it knows the
 * events and the endpoints.
 */
export abstract class Webhooks<Event extends { id: string }> {
  readonly attempts: Attempt[] = [];
  options: DeliveryOptions;
  private readonly queue = new Queue<Delivery>();
  private readonly heldBack = new Queue<Delivery>();
  private holding = false;
  private dropping: { matches: (event: Event) => boolean; times: number }[] = [];
  private readonly inFlight = new Set<Promise<void>>();
  private readonly retries = new Map<Delivery, NodeJS.Timeout>();
  private waiting: (() => void)[] = [];
  private readonly closing = new AbortController();

  constructor(options: DeliveryOptions) {
    this.options = options;
  }

  protected abstract eventOf(id: string): Event | undefined;
  protected abstract typeOf(event: Event): string;
  /** The endpoints that want an event. */
  protected abstract endpointsFor(event: Event): Endpoint[];
  /** Undefined where it takes no events any longer. */
  protected abstract endpointOf(id: string): Endpoint | undefined;
  /** The request that tells an endpoint of an event, signed now: every attempt is signed anew. */
  protected abstract postOf(event: Event, endpoint: Endpoint): Post;
  /** Called when an endpoint has answered 2xx. */
  protected acknowledge(_event: Event, _endpoint: Endpoint): void {}

  /** Send a new event to every endpoint that wants it, unless it is to be lost; returns those endpoints. */
  protected announce(event: Event): Endpoint[] {
    const endpoints = this.endpointsFor(event);
    if (endpoints.length > 0 && !this.loses(event)) this.enqueue(event, endpoints);
    return endpoints;
  }

  private loses(event: Event): boolean {
    const drop = this.dropping.find((rule) => rule.times > 0 && rule.matches(event));
    if (drop) drop.times -= 1;
    return drop !== undefined;
  }

  private enqueue(event: Event, endpoints: Endpoint[]): void {
    const queue = this.holding ? this.heldBack : this.queue;
    queue.pushAll(endpoints.map(({ id }) => ({ eventId: event.id, endpointId: id, attempts: 0 })));
    // After the call that made the event: its answer and its webhook race each other, as the real ones do.
    setImmediate(() => this.pump());
  }

  /** Keep events back until `release`. */
  hold(): void {
    this.holding = true;
    this.heldBack.pushAll(this.queue.drain());
  }

  /** Events kept back, in the order they happened; one that is on its way to several endpoints is there once. */
  get held(): Event[] {
    const ids = new Set([...this.heldBack].map(({ eventId }) => eventId));
    return [...ids].flatMap((id) => this.eventOf(id) ?? []);
  }

  /** Send what was kept back, in this or another order, once or several times each. */
  release({ shuffle, copies = 1 }: ReleaseOptions = {}): void {
    this.holding = false;
    const all = this.heldBack
      .drain()
      .flatMap((delivery) => Array.from({ length: copies }, () => ({ ...delivery })));
    this.queue.pushAll(shuffle === undefined ? all : shuffled(all, shuffle));
    this.pump();
  }

  /** Lose the next events that match: they are noted, and never sent. */
  drop(matches: (event: Event) => boolean = () => true, times = Number.POSITIVE_INFINITY): void {
    this.dropping.push({ matches, times });
  }

  /** Lose no more events. */
  stopDropping(): void {
    this.dropping = [];
  }

  /**
   * Send an event once more, as the dashboard's button does: to one endpoint, or to all that want it.
   *
   * @throws if there was no event of that id
   */
  resend(eventId: string, endpointId: string | null = null): void {
    const event = this.eventOf(eventId);
    if (!event) throw new Error(`no event ${eventId}`);
    this.enqueue(
      event,
      this.endpointsFor(event).filter(({ id }) => endpointId === null || id === endpointId),
    );
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
    const event = this.eventOf(delivery.eventId);
    const endpoint = this.endpointOf(delivery.endpointId);
    if (!event || !endpoint) return;
    delivery.attempts += 1;
    const started = performance.now();
    const status = await this.post(endpoint.url, this.postOf(event, endpoint));
    this.attempts.push({
      eventId: event.id,
      type: this.typeOf(event),
      endpointId: endpoint.id,
      url: endpoint.url,
      attempt: delivery.attempts,
      status,
      duration: performance.now() - started,
    });
    if (status !== null && status >= 200 && status < 300) this.acknowledge(event, endpoint);
    else this.retry(delivery);
  }

  private async post(url: string, { headers, body }: Post): Promise<number | null> {
    const timeout = AbortSignal.timeout(this.options.timeoutMilliseconds);
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        headers,
        body,
        signal: AbortSignal.any([this.closing.signal, timeout]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  private retry(delivery: Delivery): void {
    const wait = this.options.retryMilliseconds[delivery.attempts - 1];
    if (this.closing.signal.aborted) {
      // What was cut off is delivered again after a restart: at least once.
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

  /**
   * Nothing queued, under way or to be tried again. What is held back or dropped does not count; nor does, once this
   * is closed, what was not sent.
   */
  get idle(): boolean {
    if (this.inFlight.size > 0) return false;
    return this.closing.signal.aborted || (this.queue.length === 0 && this.retries.size === 0);
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
    await Promise.all(this.inFlight);
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Deliveries that are not made. */
  protected undone(): Delivery[] {
    return [...this.queue, ...this.heldBack, ...this.retries.keys()];
  }

  /** Make the deliveries that an earlier run left undone. */
  protected resume(deliveries: Delivery[]): void {
    this.queue.pushAll(deliveries);
    setImmediate(() => this.pump());
  }
}
