import type { Invoice, InvoiceLine, InvoicePayment, PaymentRecord, Price } from "../core/wire.ts";
import { list } from "./list.ts";
import type { Values } from "./values.ts";

/** A line of an invoice that asks for nothing yet. */
export function invoiceLine(values: Values<InvoiceLine, "id" | "currency" | "invoice">): InvoiceLine {
  return {
    object: "line_item",
    amount: 0,
    description: null,
    discount_amounts: [],
    discountable: true,
    discounts: [],
    livemode: false,
    metadata: {},
    parent: null,
    period: { start: 0, end: 0 },
    pretax_credit_amounts: [],
    pricing: null,
    quantity: 1,
    quantity_decimal: "1",
    subscription: null,
    subtotal: 0,
    taxes: [],
    ...values,
  };
}

/** What a line says of the subscription's item it bills. */
export function subscriptionItemParent(subscription: string, item: string): InvoiceLine["parent"] {
  return {
    invoice_item_details: null,
    subscription_item_details: {
      invoice_item: null,
      proration: false,
      proration_details: { credited_items: null },
      subscription,
      subscription_item: item,
    },
    type: "subscription_item_details",
  };
}

/** What a line says of its price. */
export function pricingOf({ id, product, unit_amount_decimal }: Price): NonNullable<InvoiceLine["pricing"]> {
  return {
    price_details: { price: id, product },
    type: "price_details",
    unit_amount_decimal,
  };
}

/** A draft of which the amounts are not worked out. */
export function invoice({
  lines,
  ...values
}: Omit<Values<Invoice, "id" | "created" | "currency" | "account_country" | "account_name">, "lines"> & {
  lines: InvoiceLine[];
}): Invoice {
  return {
    object: "invoice",
    account_tax_ids: null,
    amount_due: 0,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: 0,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: null,
    billing_reason: "manual",
    collection_method: "charge_automatically",
    custom_fields: null,
    customer: null,
    customer_account: null,
    customer_address: null,
    customer_email: null,
    customer_name: null,
    customer_phone: null,
    customer_shipping: null,
    customer_tax_exempt: "none",
    customer_tax_ids: [],
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    due_date: null,
    effective_at: null,
    ending_balance: null,
    footer: null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    lines: list(`/v1/invoices/${values.id}/lines`, lines),
    livemode: false,
    metadata: {},
    next_payment_attempt: null,
    number: null,
    on_behalf_of: null,
    parent: null,
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    period_end: values.created,
    period_start: values.created,
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: 0,
    statement_descriptor: null,
    status: "draft",
    status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
    subtotal: 0,
    subtotal_excluding_tax: null,
    test_clock: null,
    total: 0,
    total_discount_amounts: [],
    total_excluding_tax: null,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: null,
    ...values,
  };
}

/** What an invoice says of the subscription it bills. */
export function subscriptionParent(
  subscription: string,
  metadata: Record<string, string>,
): Invoice["parent"] {
  return {
    quote_details: null,
    subscription_details: { metadata, subscription },
    type: "subscription_details",
  };
}

/** The payment of an invoice that is still to be made. */
export function invoicePayment(
  values: Values<InvoicePayment, "id" | "created" | "amount_requested" | "currency" | "invoice" | "payment">,
): InvoicePayment {
  return {
    object: "invoice_payment",
    amount_paid: null,
    is_default: true,
    livemode: false,
    status: "open",
    status_transitions: { canceled_at: null, paid_at: null },
    ...values,
  };
}

/**
 * Money that came past Stripe.
 *
 * @param values `value` and `guaranteed` (all or nothing of it) in the currency's smallest unit
 */
export function paymentRecord({
  value,
  guaranteed,
  currency,
  ...values
}: Values<PaymentRecord, "id" | "created" | "payment_method_details" | "processor_details"> & {
  value: number;
  guaranteed: number;
  currency: string;
}): PaymentRecord {
  const amount = (sum: number) => ({ currency, value: sum });
  return {
    object: "payment_record",
    amount: amount(value),
    amount_authorized: amount(0),
    amount_canceled: amount(0),
    amount_failed: amount(0),
    amount_guaranteed: amount(guaranteed),
    amount_refunded: amount(0),
    amount_requested: amount(value),
    application: null,
    customer_details: null,
    customer_presence: null,
    description: null,
    latest_payment_attempt_record: null,
    livemode: false,
    metadata: {},
    reported_by: "self",
    shipping_details: null,
    ...values,
  };
}
