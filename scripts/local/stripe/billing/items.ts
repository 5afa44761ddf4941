import { newId } from "../core/ids.ts";
import type { Price, Subscription, SubscriptionItem, TaxRate } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { subscriptionItem } from "../objects/subscriptions.ts";
import { priceFrom } from "./catalogue.ts";
import type { Period } from "./lines.ts";
import { type Interval, nextBoundary } from "./periods.ts";
import { periodEnd } from "./schedule.ts";

/** How often a price renews; one-time prices cannot be subscribed to. */
export function intervalOf(price: Price): Interval {
  if (!price.recurring) {
    throw invalidRequest(
      "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
      { param: "items[0][price]" },
    );
  }
  return price.recurring;
}

/** Tax rates by id. */
export function taxRatesFrom(world: World, ids: string[] | undefined, param: string): TaxRate[] {
  return (ids ?? []).map((id) => {
    const rate = world.store.get("tax_rate", id);
    if (!rate) throw resourceMissing("tax rate", id, param);
    return rate;
  });
}

/** A subscription's item, in a period. */
export function newItem(
  world: World,
  subscription: { id: string },
  params: Params,
  period: (price: Price) => Period,
  created: number,
): SubscriptionItem {
  const price = priceFrom(world, params);
  const { start, end } = period(price);
  const metered = intervalOf(price) && price.recurring?.usage_type === "metered";
  return subscriptionItem({
    id: newId("si").replace("_1L", "_L").slice(0, 17),
    created,
    current_period_end: end,
    current_period_start: start,
    metadata: mergedMetadata({}, params.hash("metadata")),
    price: structuredClone(price),
    ...(metered ? {} : { quantity: params.integer("quantity") ?? 1 }),
    subscription: subscription.id,
    tax_rates: taxRatesFrom(world, params.strings("tax_rates"), params.nameOf("tax_rates")),
  });
}

/** Items of one subscription share a currency and an interval. */
export function checkItemsAgree(items: SubscriptionItem[]): { currency: string; interval: Interval } {
  const first = items[0];
  if (!first) throw invalidRequest("You must provide at least one item.", { param: "items" });
  const interval = intervalOf(first.price);
  for (const { price } of items) {
    const other = intervalOf(price);
    if (price.currency !== first.price.currency) {
      throw invalidRequest(
        "Price's currency does not match: all prices on a subscription must have the same currency.",
        { param: "items" },
      );
    }
    if (other.interval !== interval.interval || other.interval_count !== interval.interval_count) {
      throw invalidRequest(
        "Currency and interval fields must match across all prices on this subscription.",
        { param: "items" },
      );
    }
  }
  return { currency: first.price.currency, interval };
}

/** The period that a moment lies in: up to the trial's end, or the next boundary counted from the anchor. */
export function periodFrom(start: number, anchor: number, trialEnd: number | null): (price: Price) => Period {
  return (price) => {
    if (trialEnd !== null && trialEnd > start) return { start, end: trialEnd };
    if (anchor > start) return { start, end: anchor };
    return { start, end: nextBoundary(anchor, intervalOf(price), start) };
  };
}

/** A new period begins now, and later ones are counted from here. */
export function restartPeriod(subscription: Subscription, now: number): void {
  subscription.billing_cycle_anchor = now;
  const period = periodFrom(now, now, null);
  for (const item of subscription.items.data) {
    const { start, end } = period(item.price);
    item.current_period_start = start;
    item.current_period_end = end;
  }
  followPeriodEnd(subscription);
}

/** Who leaves at the end of the period leaves when it ends now. */
export function followPeriodEnd(subscription: Subscription): void {
  if (subscription.cancel_at_period_end) subscription.cancel_at = periodEnd(subscription);
}

/** Where later periods are counted from: once a word, a hash with a type since. */
export function anchorFrom(params: Params): "now" | "unchanged" | undefined {
  const anchors = ["now", "unchanged"] as const;
  return typeof params.raw("billing_cycle_anchor") === "string"
    ? params.choice("billing_cycle_anchor", anchors)
    : params.child("billing_cycle_anchor")?.choice("type", anchors);
}

/** The subscription an item belongs to. */
export function ownerOf(
  world: World,
  itemId: string,
): { subscription: Subscription; item: SubscriptionItem } {
  for (const subscription of world.store.all("subscription")) {
    const item = subscription.items.data.find((it) => it.id === itemId);
    if (item) return { subscription, item };
  }
  throw resourceMissing("subscription_item", itemId);
}
