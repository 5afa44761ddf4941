import {
  type Delivery,
  type DeliveryOptions,
  type Endpoint,
  type Post,
  Webhooks,
} from "../../service/webhooks.ts";
import type { StripeEvent, WebhookEndpoint } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { signatureHeader } from "./signature.ts";

export const defaultDelivery: DeliveryOptions = {
  concurrency: 4,
  retryMilliseconds: [250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000],
  timeoutMilliseconds: 20_000,
};

/** What is left to deliver, as the state file has it. */
export interface DeliveryDump {
  deliveries: Delivery[];
  undelivered: [event: string, endpoints: string[]][];
}

function wants(endpoint: WebhookEndpoint, type: string): boolean {
  if (endpoint.status !== "enabled") return false;
  return endpoint.enabled_events.some((wanted) => wanted === "*" || wanted === type);
}

/** An event without its object (https://docs.stripe.com/event-destinations). */
function thinEvent({ id, type, created, livemode, data }: StripeEvent): object {
  const object = data.object as { id?: string; object?: string };
  return {
    id,
    object: "v2.core.event",
    type: `v1.${type}`,
    created: new Date(created * 1000).toISOString(),
    livemode,
    context: null,
    related_object:
      object.id === undefined
        ? null
        : { id: object.id, type: object.object, url: `/v1/${object.object}s/${object.id}` },
  };
}

/** Sends an account's events to the endpoints that asked for them, and counts the endpoints that have yet to answer. */
export class StripeWebhooks extends Webhooks<StripeEvent> {
  private readonly world: World;
  private readonly onProgress: () => void;
  private readonly undelivered = new Map<string, Set<string>>();

  /** @param onProgress called when an endpoint has answered 2xx */
  constructor(world: World, options: Partial<DeliveryOptions>, onProgress: () => void) {
    super({ ...defaultDelivery, ...options });
    this.world = world;
    this.onProgress = onProgress;
    world.events.onEvent = (event) => {
      const endpoints = this.announce(event);
      if (endpoints.length > 0) this.undelivered.set(event.id, new Set(endpoints.map(({ id }) => id)));
      return endpoints.length;
    };
  }

  protected eventOf(id: string): StripeEvent | undefined {
    return this.world.events.get(id);
  }

  protected typeOf(event: StripeEvent): string {
    return event.type;
  }

  protected endpointsFor(event: StripeEvent): Endpoint[] {
    const { store, connectedAccount, connectedEndpoints } = this.world;
    return store.where("webhook_endpoint", (endpoint) => {
      // An account's own events go to no endpoint that was made for those of connected accounts.
      if (connectedEndpoints.has(endpoint.id) && connectedAccount === null) return false;
      return wants(endpoint, event.type);
    });
  }

  protected endpointOf(id: string): Endpoint | undefined {
    const endpoint = this.world.store.get("webhook_endpoint", id);
    return endpoint?.status === "enabled" && this.world.secrets.has(id) ? endpoint : undefined;
  }

  protected postOf(event: StripeEvent, { id }: Endpoint): Post {
    const shown = this.world.thinEndpoints.has(id) ? thinEvent(event) : event;
    const body = JSON.stringify(shown, null, 2);
    const secret = this.world.secrets.get(id) ?? "";
    return {
      headers: {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "stripe-signature": signatureHeader(body, secret, Math.floor(Date.now() / 1000)),
      },
      body,
    };
  }

  protected override acknowledge(event: StripeEvent, { id }: Endpoint): void {
    const open = this.undelivered.get(event.id);
    open?.delete(id);
    event.pending_webhooks = open?.size ?? 0;
    if (open?.size === 0) this.undelivered.delete(event.id);
    this.onProgress();
  }

  dump(): DeliveryDump {
    return {
      deliveries: this.undone(),
      undelivered: [...this.undelivered].map(([event, endpoints]) => [event, [...endpoints]]),
    };
  }

  restore({ deliveries, undelivered }: DeliveryDump): void {
    for (const [event, endpoints] of undelivered) this.undelivered.set(event, new Set(endpoints));
    this.resume(deliveries);
  }
}
