import { newId } from "../core/ids.ts";
import { money } from "../core/money.ts";
import type { InvoiceItem, InvoiceLine, Price, Subscription, SubscriptionItem } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invoiceLine, pricingOf, subscriptionItemParent } from "../objects/invoices.ts";

export interface Period {
  start: number;
  end: number;
}

/** What a price comes to for a quantity, in the currency's smallest unit. */
export function amountOf(price: Price, quantity: number): number {
  return Math.round(Number(price.unit_amount_decimal ?? price.unit_amount ?? 0) * quantity);
}

function productName(world: World, price: Price): string {
  return world.store.get("product", price.product)?.name ?? price.nickname ?? "Subscription";
}

function emptyLine(currency: string): InvoiceLine {
  return invoiceLine({ id: newId("il"), currency, invoice: null });
}

/** The line of a subscription's item for one period; nothing is asked for a trial. */
export function subscriptionLine(
  world: World,
  subscription: Subscription,
  item: SubscriptionItem,
  period: Period,
  share = 1,
): InvoiceLine {
  const { price, quantity = 1 } = item;
  const trial = subscription.status === "trialing";
  const amount = trial ? 0 : Math.round(amountOf(price, quantity) * share);
  const name = productName(world, price);
  const every = price.recurring?.interval_count === 1 ? "" : `${price.recurring?.interval_count ?? 1} `;
  const interval = `${every}${price.recurring?.interval ?? "month"}`;
  return {
    ...emptyLine(price.currency),
    amount,
    subtotal: amount,
    description: trial
      ? `Trial period for ${name}`
      : `${quantity} × ${name} (at ${money(price.unit_amount ?? 0, price.currency)} / ${interval})`,
    metadata: { ...subscription.metadata },
    parent: subscriptionItemParent(subscription.id, item.id),
    period,
    pricing: { ...pricingOf(price), ...(trial ? { unit_amount_decimal: "0" } : {}) },
    quantity,
    quantity_decimal: String(quantity),
    subscription: subscription.id,
  };
}

/** The line of an invoice item. */
export function itemLine(item: InvoiceItem): InvoiceLine {
  const subscription = item.parent?.subscription_details?.subscription ?? null;
  const subscriptionItem = item.parent?.subscription_details?.subscription_item;
  return {
    ...emptyLine(item.currency),
    amount: item.amount,
    subtotal: item.amount,
    description: item.description,
    discountable: item.discountable,
    metadata: { ...item.metadata },
    parent: subscriptionItem
      ? {
          invoice_item_details: null,
          subscription_item_details: {
            invoice_item: item.id,
            proration: item.proration,
            proration_details: { credited_items: null },
            subscription,
            subscription_item: subscriptionItem,
          },
          type: "subscription_item_details",
        }
      : {
          invoice_item_details: {
            invoice_item: item.id,
            proration: item.proration,
            proration_details: { credited_items: null },
            subscription,
          },
          subscription_item_details: null,
          type: "invoice_item_details",
        },
    period: item.period,
    pricing: item.pricing,
    quantity: item.quantity,
    quantity_decimal: item.quantity_decimal,
    subscription,
  };
}

/** The id of the invoice item a line came from. */
export function invoiceItemOf(line: InvoiceLine): string | null {
  return (
    line.parent?.invoice_item_details?.invoice_item ??
    line.parent?.subscription_item_details?.invoice_item ??
    null
  );
}
