import { type DeliveryOptions, type Endpoint, type Post, Webhooks } from "../../service/webhooks.ts";
import type { LoggedEvent } from "./events.ts";
import { signedHeaders } from "./signature.ts";

/**
 * Resend itself waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h
 * (https://resend.com/docs/webhooks/retries-and-replays).
 */
export const defaultDelivery: DeliveryOptions = {
  concurrency: 4,
  retryMilliseconds: [250, 500, 1000, 2000, 5000, 10_000, 30_000],
  timeoutMilliseconds: 15_000,
};

/** Sends every event to every endpoint; an endpoint's URL is its id. */
export class ResendWebhooks extends Webhooks<LoggedEvent> {
  /** Every event there was, in the order they happened. */
  readonly events: LoggedEvent[] = [];
  private readonly byId = new Map<string, LoggedEvent>();
  private readonly endpoints: Endpoint[];
  private readonly key: Buffer;

  constructor(urls: string[], key: Buffer, options: Partial<DeliveryOptions> = {}) {
    super({ ...defaultDelivery, ...options });
    this.endpoints = urls.map((url) => ({ id: url, url }));
    this.key = key;
  }

  /** Note an event and send it to every endpoint. */
  send(event: LoggedEvent): void {
    this.events.push(event);
    this.byId.set(event.id, event);
    this.announce(event);
  }

  protected eventOf(id: string): LoggedEvent | undefined {
    return this.byId.get(id);
  }

  protected typeOf(event: LoggedEvent): string {
    return event.payload.type;
  }

  protected endpointsFor(): Endpoint[] {
    return this.endpoints;
  }

  protected endpointOf(id: string): Endpoint {
    return { id, url: id };
  }

  protected postOf(event: LoggedEvent): Post {
    const body = JSON.stringify(event.payload);
    return {
      headers: {
        "content-type": "application/json",
        "user-agent": "Svix-Webhooks/1.0",
        ...signedHeaders(event.id, body, this.key, Math.floor(Date.now() / 1000)),
      },
      body,
    };
  }
}
