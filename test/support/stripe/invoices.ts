import type {
  Invoice,
  InvoiceLine,
  InvoicePayment,
  PaymentRecord,
  SubscriptionItem,
} from "../../../scripts/local/stripe/core/wire.ts";
import {
  invoiceLine,
  invoice as invoiceObject,
  invoicePayment as invoicePaymentObject,
  paymentRecord as paymentRecordObject,
  pricingOf,
  subscriptionItemParent,
  subscriptionParent,
} from "../../../scripts/local/stripe/objects/invoices.ts";
import type { Values } from "../../../scripts/local/stripe/objects/values.ts";

/** What a new invoice is made from. */
export type InvoiceValues = Omit<Values<Invoice, "id" | "created">, "lines" | "customer"> & {
  customer: string;
  /** Subscription it bills; none for a one-time invoice. */
  subscription?: string;
  /** Items it bills, a line each. */
  items?: SubscriptionItem[];
  /** Tax, minor units. */
  tax?: number;
};

function line(invoice: string, item: SubscriptionItem, index: number): InvoiceLine {
  const amount = (item.price.unit_amount ?? 0) * (item.quantity ?? 1);
  return invoiceLine({
    id: `il_${invoice.slice(3)}${index}`,
    amount,
    currency: item.price.currency,
    description: `${item.quantity ?? 1} × Example plan`,
    invoice,
    parent: subscriptionItemParent(item.subscription, item.id),
    period: { start: item.current_period_start, end: item.current_period_end },
    pricing: pricingOf(item.price),
    quantity: item.quantity ?? null,
    quantity_decimal: null,
    subtotal: amount,
  });
}

/** A draft invoice of our examples. Amounts follow from its items unless given. */
export function invoice({ subscription, items = [], tax = 0, ...values }: InvoiceValues): Invoice {
  const lines = items.map((item, index) => line(values.id, item, index));
  const subtotal = lines.reduce((sum, { amount }) => sum + amount, 0);
  const total = subtotal + tax;
  return invoiceObject({
    account_country: "DE",
    account_name: "Example GmbH",
    amount_due: total,
    amount_remaining: total,
    billing_reason: subscription ? "subscription_cycle" : "manual",
    currency: items[0]?.price.currency ?? "eur",
    lines,
    parent: subscription ? subscriptionParent(subscription, {}) : null,
    subtotal,
    subtotal_excluding_tax: subtotal,
    total,
    total_excluding_tax: subtotal,
    total_taxes: tax
      ? [
          {
            amount: tax,
            tax_behavior: "exclusive",
            tax_rate_details: { tax_rate: "txr_example19" },
            taxability_reason: "standard_rated",
            taxable_amount: subtotal,
            type: "tax_rate_details",
          },
        ]
      : [],
    ...values,
  });
}

/** A paid InvoicePayment: which PaymentIntent or charge paid which invoice. */
export function invoicePayment({
  amount,
  ...values
}: Values<InvoicePayment, "id" | "created" | "invoice" | "payment"> & { amount: number }): InvoicePayment {
  return invoicePaymentObject({
    amount_paid: amount,
    amount_requested: amount,
    currency: "eur",
    status: "paid",
    status_transitions: { canceled_at: null, paid_at: values.created },
    ...values,
  });
}

/** A payment record as Stripe answers when it is asked for one: money that came past Stripe, all of it guaranteed. */
export function paymentRecord({
  amount,
  customer,
  ...values
}: {
  id: string;
  created: number;
  amount: number;
  currency: string;
  customer: string;
}): PaymentRecord {
  return paymentRecordObject({
    value: amount,
    guaranteed: amount,
    customer_details: { customer, email: null, name: null, phone: null },
    payment_method_details: {
      billing_details: null,
      custom: { display_name: "Cash", type: null },
      payment_method: null,
      type: "custom",
    },
    processor_details: { type: "custom", custom: { payment_reference: values.id } },
    ...values,
  });
}
