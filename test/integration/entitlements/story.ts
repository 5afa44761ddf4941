import type { TestDatabase } from "../../support/database.ts";
import { NEWEST } from "../../support/old-shapes.ts";
import { previousAttributes, type StripeEvent, stripeEvent } from "../../support/stripe/events.ts";

export const START = 1_790_000_000;
export const MONTH = 30 * 86_400;

let made = 0;

/** Events about a small business whose ids end in `_<name>`; each is one second later than the one before. */
export class Story {
  readonly name = `n${String(++made).padStart(4, "0")}`;
  now = START;
  #events = 0;

  id(kind: string, number = ""): string {
    return `${kind}_${number}${this.name}`;
  }

  event(type: string, object: object, before?: object): StripeEvent {
    this.now += 1;
    return stripeEvent({
      id: this.id("evt", String(++this.#events)),
      type,
      created: this.now,
      api_version: NEWEST,
      object: object as { object: string },
      previous: before && previousAttributes(before, object),
    });
  }

  product(features: string | null, number = "", type = "product.updated"): StripeEvent {
    const metadata = features === null ? {} : { features };
    return this.event(type, { id: this.id("prod", number), object: "product", active: true, metadata });
  }

  price(features: string | null, number = ""): StripeEvent {
    const metadata = features === null ? {} : { features };
    return this.event("price.updated", {
      id: this.id("price", number),
      object: "price",
      product: this.id("prod", number),
      metadata,
    });
  }

  /** A customer who says which user it is. */
  customer(userId: string | null, number = "", type = "customer.updated"): StripeEvent {
    return this.event(type, {
      id: this.id("cus", number),
      object: "customer",
      metadata: userId === null ? {} : { owner_id: userId },
    });
  }

  /** A subscription of a customer to the plans of the numbers given. */
  subscription(changes: object = {}, plans: string[] = [""], number = ""): StripeEvent {
    const data = plans.map((plan) => ({
      id: this.id("si", plan + number),
      price: { id: this.id("price", plan), product: this.id("prod", plan) },
      quantity: 1,
      current_period_start: START,
      current_period_end: START + MONTH,
    }));
    const object = {
      id: this.id("sub", number),
      object: "subscription",
      customer: this.id("cus", number),
      status: "active",
      items: { data },
      ...changes,
    };
    const ended = ["canceled", "incomplete_expired"].includes(object.status);
    return this.event(`customer.subscription.${ended ? "deleted" : "updated"}`, object);
  }

  summary(keys: string[], hasMore = false, number = ""): StripeEvent {
    return this.event("entitlements.active_entitlement_summary.updated", {
      object: "entitlements.active_entitlement_summary",
      customer: this.id("cus", number),
      livemode: false,
      entitlements: {
        object: "list",
        data: keys.map((key) => ({
          id: this.id("ent", key),
          object: "entitlements.active_entitlement",
          feature: this.id("feat", key),
          lookup_key: key,
          livemode: false,
        })),
        has_more: hasMore,
        url: "/v1/entitlements/active_entitlements",
      },
    });
  }
}

/** Delivers events one after the other; each must be projected. */
export async function tell(database: TestDatabase, ...events: StripeEvent[]): Promise<void> {
  for (const event of events) {
    const outcome = await database.receive(event);
    if (outcome === "processed" || outcome === "duplicate") continue;
    const [failure] =
      await database.sql`select error from billing.failed_webhooks where event_id = ${event.id}`;
    throw new Error(`${event.type}: ${outcome} ${JSON.stringify(failure)}`);
  }
}

/** The features a user has. */
export async function featuresOf(database: TestDatabase, userId: string): Promise<string[]> {
  const rows = await database.sql<{ feature: string }[]>`
    select feature from billing.entitlements where owner_id = ${userId} order by feature collate "C"
  `;
  return rows.map(({ feature }) => feature);
}

/** The number of changes of a user's entitlements so far. */
export async function versionOf(database: TestDatabase, userId: string): Promise<number> {
  const [row] = await database.sql<{ version: string }[]>`
    select version from billing.entitlement_versions where owner_id = ${userId}
  `;
  return Number(row?.version ?? 0);
}
