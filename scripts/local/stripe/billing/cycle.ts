import type { Customer, Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { resourceMissing } from "../http/errors.ts";
import { createDraft, type DraftRequest, pendingItems } from "./drafts.ts";
import { itemLine, subscriptionLine } from "./lines.ts";

/** The customer of a subscription. */
export function subscriber(world: World, subscription: Subscription): Customer {
  const customer = world.store.get("customer", subscription.customer);
  if (!customer) throw resourceMissing("customer", subscription.customer, "customer");
  return customer;
}

export interface CycleInvoice {
  billingReason: Invoice["billing_reason"];
  /** When the draft becomes final by itself; null if somebody does it right away. */
  finalizesAt: number | null;
  /** Leave out the items' own lines: only what has piled up. */
  pendingOnly?: boolean;
  /** Part of a full period that the first one is. */
  share?: number;
  autoAdvance?: boolean;
  /** What the invoice covers; the items' current period where absent. */
  period?: { start: number; end: number };
}

/** Everything a subscription's next invoice says. */
export function cycleRequest(world: World, subscription: Subscription, options: CycleInvoice): DraftRequest {
  const customer = subscriber(world, subscription);
  const now = timeOf(world, customer);
  const own = options.pendingOnly
    ? []
    : subscription.items.data.map((item) =>
        subscriptionLine(
          world,
          subscription,
          item,
          { start: item.current_period_start, end: item.current_period_end },
          options.share,
        ),
      );
  const pending = pendingItems(world, customer.id, subscription.id)
    .filter((item) => item.currency === subscription.currency)
    .map(itemLine);
  return {
    customer,
    subscription,
    billingReason: options.billingReason,
    lines: [...pending, ...own],
    currency: subscription.currency,
    collectionMethod: subscription.collection_method,
    daysUntilDue:
      subscription.collection_method === "send_invoice" ? (subscription.days_until_due ?? 30) : null,
    autoAdvance: options.autoAdvance ?? true,
    finalizesAt: options.finalizesAt,
    period: options.period ?? { start: now, end: now },
    defaultTaxRates: subscription.default_tax_rates ?? [],
    description: null,
  };
}

/** A subscription's invoice, as a draft. */
export function draftFor(world: World, subscription: Subscription, options: CycleInvoice): Invoice {
  return createDraft(world, cycleRequest(world, subscription, options));
}
