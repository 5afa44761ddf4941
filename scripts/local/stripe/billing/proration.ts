import type { Subscription, SubscriptionItem } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { subscriber } from "./cycle.ts";
import { insertInvoiceItem } from "./invoiceitems.ts";
import { amountOf } from "./lines.ts";

function dayOf(at: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    day: "2-digit",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  }).format(at * 1000);
}

function add(
  world: World,
  subscription: Subscription,
  item: SubscriptionItem,
  at: number,
  sign: 1 | -1,
  period: { start: number; end: number },
): void {
  const share = (period.end - at) / (period.end - period.start);
  const amount = Math.round(sign * amountOf(item.price, item.quantity ?? 1) * share);
  if (amount === 0) return;
  const name = world.store.get("product", item.price.product)?.name ?? "Subscription";
  insertInvoiceItem(world, {
    customer: subscriber(world, subscription),
    amount,
    currency: item.price.currency,
    description: `${sign < 0 ? "Unused" : "Remaining"} time on ${name} after ${dayOf(at)}`,
    price: item.price,
    quantity: item.quantity ?? 1,
    subscription: subscription.id,
    subscriptionItem: item.id,
    invoice: null,
    period: { start: at, end: period.end },
    proration: true,
    metadata: {},
    taxRates: item.tax_rates,
    discountable: false,
  });
}

/**
 * Give back what is unused of the old items and charge for the rest of the period of the new ones,
 * as invoice items that wait for the next invoice.
 * @param at when the change takes effect, in seconds
 */
export function prorate(
  world: World,
  subscription: Subscription,
  before: SubscriptionItem[],
  after: SubscriptionItem[],
  at: number,
): void {
  for (const old of before) {
    const now = after.find((item) => item.id === old.id);
    if (now && now.price.id === old.price.id && now.quantity === old.quantity) continue;
    const period = { start: old.current_period_start, end: old.current_period_end };
    if (period.end > at) add(world, subscription, old, at, -1, period);
  }
  for (const item of after) {
    const old = before.find((it) => it.id === item.id);
    if (old && old.price.id === item.price.id && old.quantity === item.quantity) continue;
    const period = { start: item.current_period_start, end: item.current_period_end };
    if (period.end > at) add(world, subscription, item, at, 1, period);
  }
}

/** Give back what is unused of everything, as when a period is cut short. */
export function creditUnused(
  world: World,
  subscription: Subscription,
  items: SubscriptionItem[],
  at: number,
): void {
  for (const item of items) {
    const period = { start: item.current_period_start, end: item.current_period_end };
    if (period.end > at) add(world, subscription, item, at, -1, period);
  }
}
