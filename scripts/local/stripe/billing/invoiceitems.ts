import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Customer, InvoiceItem, Price } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { missingParam } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { priceFrom } from "./catalogue.ts";
import { taxRatesFrom } from "./items.ts";
import { amountOf, type Period } from "./lines.ts";

export interface ItemRequest {
  customer: Customer;
  /** Signed, in the currency's smallest unit. */
  amount: number;
  currency: string;
  description: string | null;
  price: Price | null;
  quantity: number;
  subscription: string | null;
  subscriptionItem?: string;
  invoice: string | null;
  period: Period | null;
  proration: boolean;
  metadata: Record<string, string>;
  taxRates: InvoiceItem["tax_rates"];
  discountable: boolean;
}

/** Something to be charged with the customer's next invoice. */
export function insertInvoiceItem(world: World, request: ItemRequest): InvoiceItem {
  const now = timeOf(world, request.customer);
  const unit = request.price?.unit_amount_decimal ?? String(request.amount / (request.quantity || 1));
  const item = world.store.insert<"invoiceitem">({
    id: newId("ii"),
    object: "invoiceitem",
    amount: request.amount,
    currency: request.currency,
    customer: request.customer.id,
    customer_account: null,
    date: now,
    description: request.description,
    discountable: request.discountable,
    discounts: [],
    invoice: request.invoice,
    livemode: false,
    metadata: request.metadata,
    net_amount: request.amount,
    parent:
      request.subscription === null
        ? null
        : {
            subscription_details: {
              subscription: request.subscription,
              ...(request.subscriptionItem ? { subscription_item: request.subscriptionItem } : {}),
            },
            type: "subscription_details",
          },
    period: request.period ?? { start: now, end: now },
    pricing: request.price
      ? {
          price_details: { price: request.price.id, product: request.price.product },
          type: "price_details",
          unit_amount_decimal: unit,
        }
      : null,
    proration: request.proration,
    quantity: request.quantity,
    quantity_decimal: String(request.quantity),
    tax_rates: request.taxRates,
    test_clock: request.customer.test_clock ?? null,
  });
  emit(world, "invoiceitem.created", item);
  return item;
}

function priceOf(world: World, params: Params): Price | null {
  const id = params.child("pricing")?.text("price");
  if (id) return world.store.get("price", id) ?? null;
  return params.has("price") || params.has("price_data") ? priceFrom(world, params) : null;
}

/** An invoice item as the API's parameters describe it: an amount, or a price and a quantity. */
export function createInvoiceItem(
  world: World,
  customer: Customer,
  params: Params,
  owner: { subscription?: string | null; invoice?: string | null } = {},
): InvoiceItem {
  const price = priceOf(world, params);
  const quantity = params.integer("quantity") ?? 1;
  const unit = params.number("unit_amount_decimal");
  const amount =
    params.integer("amount") ??
    (price ? amountOf(price, quantity) : unit == null ? undefined : Math.round(unit * quantity));
  if (amount == null) throw missingParam("amount");
  const currency = price?.currency ?? params.text("currency") ?? customer.currency;
  if (!currency) throw missingParam("currency");
  const period = params.child("period");
  const product = price ? world.store.get("product", price.product) : undefined;
  return insertInvoiceItem(world, {
    customer,
    amount,
    currency: currency.toLowerCase(),
    description: params.text("description") ?? product?.name ?? null,
    price,
    quantity,
    subscription: owner.subscription ?? null,
    invoice: owner.invoice ?? null,
    period: period ? { start: period.integer("start") ?? 0, end: period.integer("end") ?? 0 } : null,
    proration: false,
    metadata: mergedMetadata({}, params.hash("metadata")),
    taxRates: taxRatesFrom(world, params.strings("tax_rates"), "tax_rates"),
    discountable: params.boolean("discountable") ?? true,
  });
}
