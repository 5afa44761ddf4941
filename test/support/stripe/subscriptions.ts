import type { Subscription, SubscriptionItem } from "../../../scripts/local/stripe/core/wire.ts";
import {
  subscriptionItem as subscriptionItemObject,
  subscription as subscriptionObject,
} from "../../../scripts/local/stripe/objects/subscriptions.ts";
import type { Values } from "../../../scripts/local/stripe/objects/values.ts";

/** One unit of a price, as an item of a subscription. */
export function subscriptionItem(
  values: Values<
    SubscriptionItem,
    "id" | "created" | "subscription" | "price" | "current_period_start" | "current_period_end"
  >,
): SubscriptionItem {
  return subscriptionItemObject({ quantity: 1, ...values });
}

/** An active subscription in the currency of its items. */
export function subscription(
  values: Omit<Values<Subscription, "id" | "created">, "items" | "customer"> & {
    customer: string;
    items: SubscriptionItem[];
  },
): Subscription {
  return subscriptionObject({ currency: values.items[0]?.price.currency ?? "eur", ...values });
}
