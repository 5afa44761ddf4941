import type Stripe from "stripe";
import type { LocalStripe } from "../../scripts/local/stripe/server.ts";

/** A quantity of an item, and since when it has it (seconds). */
export interface Quantity {
  since: number;
  quantity: number;
}

/** A period of a subscription (seconds). */
export interface Period {
  start: number;
  end: number;
}

/** What Stripe's events say of a subscription with one item, in order. */
export function historyOf(
  local: LocalStripe,
  subscription: string,
): { quantities: Quantity[]; periods: Period[] } {
  const quantities: Quantity[] = [];
  const periods: Period[] = [];
  for (const event of local.events.all()) {
    const object = event.data.object as Partial<Stripe.Subscription>;
    if (object.object !== "subscription" || object.id !== subscription) continue;
    const item = object.items?.data[0];
    const quantity = item?.quantity ?? 0;
    if (quantity !== quantities.at(-1)?.quantity) quantities.push({ since: event.created, quantity });
    const period = { start: Number(item?.current_period_start), end: Number(item?.current_period_end) };
    if (period.start !== periods.at(-1)?.start) periods.push(period);
  }
  return { quantities, periods };
}

/**
 * What the seats of one period cost: those it begins with in full, and each change by the seconds that are left.
 *
 * @param price of a seat in a whole period, minor units
 */
export function costOf(period: Period, quantities: readonly Quantity[], price: number): number {
  let before = quantityAt(period.start, quantities);
  let cost = before * price;
  for (const { since, quantity } of quantities) {
    if (since <= period.start || since >= period.end) continue;
    cost += ((quantity - before) * price * (period.end - since)) / (period.end - period.start);
    before = quantity;
  }
  return cost;
}

/** The quantity in force at a time (seconds). */
export const quantityAt = (time: number, quantities: readonly Quantity[]): number =>
  quantities.findLast(({ since }) => since <= time)?.quantity ?? 0;
