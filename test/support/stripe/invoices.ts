import { type Invoice, type InvoicePayment, list, type SubscriptionItem } from "./wire.ts";

/** What a new invoice is made from. */
export type InvoiceValues = Partial<Invoice> & {
  id: string;
  created: number;
  customer: string;
  /** Subscription it bills; none for a one-time invoice. */
  subscription?: string;
  /** Items it bills, a line each. */
  items?: SubscriptionItem[];
  /** Tax, minor units. */
  tax?: number;
};

type Line = Invoice["lines"]["data"][number];

function line(invoice: string, item: SubscriptionItem, index: number): Line {
  const amount = (item.price.unit_amount ?? 0) * (item.quantity ?? 1);
  return {
    id: `il_${invoice.slice(3)}${index}`,
    object: "line_item",
    amount,
    currency: item.price.currency,
    description: `${item.quantity ?? 1} × Example plan`,
    discount_amounts: [],
    discountable: true,
    discounts: [],
    invoice,
    livemode: false,
    metadata: {},
    parent: {
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: { credited_items: null },
        subscription: item.subscription,
        subscription_item: item.id,
      },
      type: "subscription_item_details",
    },
    period: { start: item.current_period_start, end: item.current_period_end },
    pretax_credit_amounts: [],
    pricing: {
      price_details: { price: item.price.id, product: item.price.product },
      type: "price_details",
      unit_amount_decimal: item.price.unit_amount_decimal,
    },
    quantity: item.quantity ?? null,
    quantity_decimal: null,
    subscription: null,
    subtotal: amount,
    taxes: [],
  };
}

/** A draft invoice in the newest API version's shape. Amounts follow from its items unless given. */
export function invoice({ subscription, items = [], tax = 0, ...values }: InvoiceValues): Invoice {
  const lines = items.map((item, index) => line(values.id, item, index));
  const subtotal = lines.reduce((sum, { amount }) => sum + amount, 0);
  const total = subtotal + tax;
  return {
    object: "invoice",
    account_country: "DE",
    account_name: "Example GmbH",
    account_tax_ids: null,
    amount_due: total,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: total,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: null,
    billing_reason: subscription ? "subscription_cycle" : "manual",
    collection_method: "charge_automatically",
    currency: items[0]?.price.currency ?? "eur",
    custom_fields: null,
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
    parent: subscription
      ? {
          quote_details: null,
          subscription_details: { metadata: {}, subscription },
          type: "subscription_details",
        }
      : null,
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
    subtotal,
    subtotal_excluding_tax: subtotal,
    test_clock: null,
    total,
    total_discount_amounts: [],
    total_excluding_tax: subtotal,
    total_pretax_credit_amounts: [],
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
    webhooks_delivered_at: null,
    ...values,
  };
}

/** A paid InvoicePayment: which PaymentIntent or charge paid which invoice. */
export function invoicePayment(
  values: Partial<InvoicePayment> & {
    id: string;
    created: number;
    invoice: string;
    payment: InvoicePayment["payment"];
    amount: number;
  },
): InvoicePayment {
  const { amount, ...rest } = values;
  return {
    object: "invoice_payment",
    amount_paid: amount,
    amount_requested: amount,
    currency: "eur",
    is_default: true,
    livemode: false,
    status: "paid",
    status_transitions: { canceled_at: null, paid_at: values.created },
    ...rest,
  };
}

/** A payment record as Stripe answers when it is asked for one: money that came past Stripe, all of it guaranteed. */
export function paymentRecord({
  amount,
  currency,
  customer,
  ...values
}: {
  id: string;
  created: number;
  amount: number;
  currency: string;
  customer: string;
}) {
  const money = (value: number) => ({ value, currency });
  return {
    object: "payment_record",
    amount: money(amount),
    amount_authorized: money(amount),
    amount_canceled: money(0),
    amount_failed: money(0),
    amount_guaranteed: money(amount),
    amount_refunded: money(0),
    amount_requested: money(amount),
    application: null,
    customer_details: { customer, email: null, name: null, phone: null },
    description: null,
    livemode: false,
    metadata: {},
    payment_method_details: {
      type: "custom",
      custom: { display_name: "Cash", type: null },
      payment_method: null,
    },
    processor_details: { type: "custom", custom: { payment_reference: values.id } },
    reported_by: "self",
    ...values,
  };
}

export type PaymentRecord = ReturnType<typeof paymentRecord>;
