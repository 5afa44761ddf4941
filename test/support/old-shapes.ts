import type { StripeObject } from "./stripe/events.ts";

/** API versions whose payloads are tried, oldest first; the last is the one objects are composed in. */
export const API_VERSIONS = [
  "2022-11-15",
  "2024-09-30.acacia",
  "2025-04-30.basil",
  "2026-10-28.endive",
] as const;
export type ApiVersion = (typeof API_VERSIONS)[number];
export const NEWEST: ApiVersion = "2026-10-28.endive";

/**
 * Which payment belongs to which invoice. Before 2025-03-31.basil both sides said so themselves; since then only an
 * InvoicePayment does, so an object alone does not have what its older shape needs.
 */
export interface PaymentLinks {
  /** PaymentIntent and charge of an invoice. */
  ofInvoice(invoice: string): { payment_intent: string | null; charge: string | null } | undefined;
  /** Invoice of a PaymentIntent or charge. */
  ofPayment(payment: string): string | undefined;
}

/** Links read off InvoicePayment objects, as the newest API version tells them. */
export function linksOf(invoicePayments: StripeObject[]): PaymentLinks {
  const facts = invoicePayments.map((object) => ({
    invoice: object.invoice as string,
    ...(object.payment as { payment_intent?: string; charge?: string }),
  }));
  return {
    ofInvoice: (invoice) => {
      const fact = facts.find((candidate) => candidate.invoice === invoice);
      return fact && { payment_intent: fact.payment_intent ?? null, charge: fact.charge ?? null };
    },
    ofPayment: (payment) =>
      facts.find((fact) => fact.payment_intent === payment || fact.charge === payment)?.invoice,
  };
}

type Json = Record<string, unknown>;

/** Whether a version puts a subscription's period on its items and an invoice's subscription under `parent`. */
function isBasilOrLater(version: ApiVersion): boolean {
  return version >= "2025-03-31";
}

/**
 * Renders an object of the newest shape as Stripe would have sent it in an older API version.
 *
 * @returns null where that version had no such object
 */
export function inShapeOf(
  version: ApiVersion,
  object: StripeObject,
  links: PaymentLinks,
): StripeObject | null {
  if (version === NEWEST || object.deleted === true) return structuredClone(object);
  const old: StripeObject = withoutFields(structuredClone(object), newerThanBasil[object.object] ?? []);
  if (old.object === "checkout.session" && old.ui_mode === "hosted_page") old.ui_mode = "hosted";
  if (isBasilOrLater(version)) return old;
  switch (old.object) {
    case "invoice_payment":
      return null;
    case "subscription":
      return oldSubscription(old);
    case "invoice":
      return oldInvoice(old, links);
    case "payment_intent":
      return { ...old, invoice: links.ofPayment(object.id ?? "") ?? null };
    case "charge": {
      const intent = typeof old.payment_intent === "string" ? old.payment_intent : (object.id ?? "");
      return {
        ...old,
        destination: null,
        dispute: null,
        invoice: links.ofPayment(intent) ?? null,
        order: null,
      };
    }
    case "price":
      return { ...old, recurring: oldRecurring(old.recurring) };
    case "refund":
      return without(old, "destination_details");
    case "dispute":
      return oldDispute(version, old);
    case "payment_method":
      return oldPaymentMethod(version, old);
    case "product":
      return version < "2024-04-10" ? renamed(old, "marketing_features", "features") : old;
    default:
      return old;
  }
}

/** Fields that came after 2025-04-30.basil. */
const newerThanBasil: Record<string, string[]> = {
  charge: [],
  "checkout.session": ["allowed_payment_method_types", "integration_identifier", "managed_payments"],
  customer: ["customer_account"],
  dispute: ["intended_submission_method"],
  invoice: ["customer_account", "amount_overpaid"],
  payment_intent: ["allowed_payment_method_types", "customer_account", "managed_payments", "payment_record"],
  payment_method: ["customer_account"],
  product: ["tax_details"],
  refund: ["customer", "customer_account", "payment_method"],
  subscription: [
    "billing_mode",
    "billing_schedules",
    "customer_account",
    "managed_payments",
    "status_details",
  ],
};

function oldSubscription(subscription: StripeObject): StripeObject {
  const items = subscription.items as { data: Json[] };
  const first = items.data[0];
  const data = items.data.map(
    ({ current_period_end: _end, current_period_start: _start, current_trial: _trial, ...item }) => ({
      ...item,
      plan: { ...(item.plan as Json), aggregate_usage: null },
      price: { ...(item.price as Json), recurring: oldRecurring((item.price as Json).recurring) },
    }),
  );
  return {
    ...subscription,
    current_period_end: first?.current_period_end ?? null,
    current_period_start: first?.current_period_start ?? null,
    discount: null,
    items: { ...items, data },
    plan: data.length === 1 ? data[0]?.plan : null,
    quantity: data.length === 1 ? first?.quantity : null,
  };
}

function oldInvoice({ parent, total_taxes, ...invoice }: StripeObject, links: PaymentLinks): StripeObject {
  const details = (parent as { subscription_details?: { subscription: string; metadata: Json } } | null)
    ?.subscription_details;
  const taxes = (total_taxes ?? []) as {
    amount: number;
    tax_behavior: string;
    tax_rate_details: Json | null;
  }[];
  const link = links.ofInvoice(invoice.id ?? "");
  const named = invoice.status === "draft" ? undefined : link;
  const lines = invoice.lines as { data: Json[] };
  return {
    ...invoice,
    application_fee_amount: null,
    charge: invoice.status === "paid" ? (named?.charge ?? null) : null,
    discount: null,
    lines: { ...lines, data: lines.data.map(oldLine) },
    paid: invoice.status === "paid",
    paid_out_of_band: invoice.paid_out_of_band ?? false,
    payment_intent: named?.payment_intent ?? null,
    quote: null,
    subscription: details?.subscription ?? null,
    subscription_details: { metadata: details?.metadata ?? null },
    tax: taxes.length > 0 ? taxes.reduce((sum, { amount }) => sum + amount, 0) : null,
    total_tax_amounts: taxes.map(({ amount, tax_behavior, tax_rate_details }) => ({
      amount,
      inclusive: tax_behavior === "inclusive",
      tax_rate: tax_rate_details?.tax_rate ?? null,
    })),
    transfer_data: null,
  };
}

function oldDispute(
  version: ApiVersion,
  { enhanced_eligibility_types, ...dispute }: StripeObject,
): StripeObject {
  const { enhanced_evidence: _evidence, ...evidence } = dispute.evidence as Json;
  const {
    enhanced_eligibility: _eligibility,
    submission_method: _method,
    ...details
  } = dispute.evidence_details as Json;
  const old = { ...dispute, evidence, evidence_details: details };
  return version < "2023-08-16"
    ? without(old, "payment_method_details")
    : { ...old, enhanced_eligibility_types };
}

function oldPaymentMethod(version: ApiVersion, { allow_redisplay, ...method }: StripeObject): StripeObject {
  const { tax_id: _taxId, ...billing } = method.billing_details as Json;
  const { regulated_status: _status, display_brand, ...card } = (method.card ?? {}) as Json;
  const old = { ...method, billing_details: billing, ...(method.card ? { card } : {}) };
  return version < "2024-04-10"
    ? old
    : { ...old, allow_redisplay, ...(method.card ? { card: { ...card, display_brand } } : {}) };
}

function oldLine({ parent, pricing, taxes: _taxes, ...line }: Json): Json {
  const item = (parent as { subscription_item_details?: Json } | null)?.subscription_item_details;
  const sold = (pricing as { price_details?: Json; unit_amount_decimal?: string } | null) ?? {};
  return {
    ...line,
    price: sold.price_details
      ? {
          id: sold.price_details.price,
          object: "price",
          product: sold.price_details.product,
          unit_amount_decimal: sold.unit_amount_decimal,
        }
      : null,
    proration: item?.proration ?? false,
    subscription: item?.subscription ?? null,
    subscription_item: item?.subscription_item ?? null,
    tax_amounts: [],
    type: item ? "subscription" : "invoiceitem",
  };
}

function oldRecurring(recurring: unknown): unknown {
  if (recurring === null || recurring === undefined) return recurring;
  const { meter: _meter, ...rest } = recurring as Json;
  return { aggregate_usage: null, ...rest };
}

function renamed(object: StripeObject, from: string, to: string): StripeObject {
  const { [from]: value, ...rest } = object;
  return { ...rest, object: object.object, [to]: value };
}

function without(object: StripeObject, ...fields: string[]): StripeObject {
  return withoutFields({ ...object }, fields);
}

function withoutFields(object: StripeObject, fields: string[]): StripeObject {
  for (const field of fields) delete object[field];
  return object;
}
