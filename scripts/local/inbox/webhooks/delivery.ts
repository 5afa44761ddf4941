import { type DeliveryOptions, type Endpoint, type Post, Webhooks } from "../../service/webhooks.ts";
import type { WebhookEndpoints } from "./endpoints.ts";
import type { LoggedEvent } from "./events.ts";
import { keyIn, signedHeaders } from "./signature.ts";

/**
 * Resend itself waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h
 * (https://resend.com/docs/webhooks/retries-and-replays).
 */
export const defaultDelivery: DeliveryOptions = {
  concurrency: 4,
  retryMilliseconds: [250, 500, 1000, 2000, 5000, 10_000, 30_000],
  timeoutMilliseconds: 15_000,
};

/** Sends every event to the endpoints that want it. */
export class ResendWebhooks extends Webhooks<LoggedEvent> {
  /** Every event there was, in the order they happened. */
  readonly events: LoggedEvent[] = [];
  private readonly byId = new Map<string, LoggedEvent>();
  private readonly endpoints: WebhookEndpoints;

  constructor(endpoints: WebhookEndpoints, options: Partial<DeliveryOptions> = {}) {
    super({ ...defaultDelivery, ...options });
    this.endpoints = endpoints;
  }

  /** Note an event and send it to whoever wants it. */
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

  protected endpointsFor(event: LoggedEvent): Endpoint[] {
    return this.endpoints
      .all()
      .filter(({ status }) => status === "enabled")
      .filter(({ events }) => events === null || events.includes(event.payload.type))
      .map(({ id, endpoint }) => ({ id, url: endpoint }));
  }

  protected endpointOf(id: string): Endpoint | undefined {
    const found = this.endpoints.get(id);
    return found?.status === "enabled" ? { id, url: found.endpoint } : undefined;
  }

  protected postOf(event: LoggedEvent, { id }: Endpoint): Post {
    const secret = this.endpoints.get(id)?.signing_secret ?? "";
    const body = JSON.stringify(event.payload);
    return {
      headers: {
        "content-type": "application/json",
        "user-agent": "Svix-Webhooks/1.0",
        ...signedHeaders(event.id, body, keyIn(secret), Math.floor(Date.now() / 1000)),
      },
      body,
    };
  }
}
