import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Customer, Invoice, InvoiceItem, InvoiceLine, Subscription, TaxRate } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { invoice as invoiceObject, subscriptionParent } from "../objects/invoices.ts";
import { discountsAt } from "./discounts.ts";
import { invoiceItemOf } from "./lines.ts";
import { computeTotals } from "./totals.ts";

export interface DraftRequest {
  customer: Customer;
  subscription: Subscription | null;
  billingReason: Invoice["billing_reason"];
  lines: InvoiceLine[];
  currency: string;
  collectionMethod: Invoice["collection_method"];
  /** Days from finalization to the due date; only for `send_invoice`. */
  daysUntilDue: number | null;
  dueDate?: number | null;
  autoAdvance: boolean;
  /** When the draft becomes final by itself. */
  finalizesAt: number | null;
  period: { start: number; end: number };
  defaultPaymentMethod?: string | null;
  defaultTaxRates?: TaxRate[];
  description?: string | null;
  footer?: string | null;
  shippingCost?: Invoice["shipping_cost"];
  metadata?: Record<string, string>;
}

/** What an invoice looks like before anything has happened to it; not yet stored. */
export function blankInvoice(world: World, request: DraftRequest): Invoice {
  const { customer, subscription } = request;
  const id = newId("in");
  const now = timeOf(world, customer);
  for (const line of request.lines) line.invoice = id;
  const invoice = invoiceObject({
    id,
    account_country: "US",
    account_name: "Duebase local",
    auto_advance: request.autoAdvance,
    automatically_finalizes_at: request.autoAdvance ? request.finalizesAt : null,
    billing_reason: request.billingReason,
    collection_method: request.collectionMethod,
    created: now,
    currency: request.currency,
    customer: customer.id,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: customer.shipping,
    customer_tax_exempt: customer.tax_exempt ?? "none",
    default_payment_method: request.defaultPaymentMethod ?? null,
    default_tax_rates: request.defaultTaxRates ?? [],
    description: request.description ?? null,
    due_date: request.dueDate ?? (request.daysUntilDue === null ? null : now + request.daysUntilDue * 86_400),
    footer: request.footer ?? null,
    lines: request.lines,
    metadata: request.metadata ?? {},
    next_payment_attempt:
      request.autoAdvance && request.collectionMethod === "charge_automatically" ? request.finalizesAt : null,
    parent: subscription ? subscriptionParent(subscription.id, { ...subscription.metadata }) : null,
    period_end: request.period.end,
    period_start: request.period.start,
    shipping_cost: request.shippingCost ?? null,
    test_clock: customer.test_clock ?? null,
  });
  recompute(world, invoice);
  return invoice;
}

/** The subscription an invoice is for. */
export function subscriptionOf(world: World, invoice: Invoice): Subscription | undefined {
  const id = invoice.parent?.subscription_details?.subscription;
  return id ? world.store.get("subscription", id) : undefined;
}

/** The customer an invoice is for. */
export function customerOfInvoice(world: World, invoice: Invoice): Customer {
  const customer = invoice.customer ? world.store.get("customer", invoice.customer) : undefined;
  if (!customer) throw resourceMissing("customer", invoice.customer ?? "", "customer");
  return customer;
}

/** Work out a draft's totals anew after its lines changed. */
export function recompute(world: World, invoice: Invoice): void {
  const customer = customerOfInvoice(world, invoice);
  const subscription = subscriptionOf(world, invoice) ?? null;
  const discounts = discountsAt(world, customer, subscription, timeOf(world, customer));
  computeTotals(world, invoice, discounts, invoice.default_tax_rates, customer);
}

/** Store a new draft; the invoice items on it are taken. */
export function createDraft(world: World, request: DraftRequest): Invoice {
  const invoice = world.store.insert<"invoice">(blankInvoice(world, request));
  takePendingItems(world, invoice);
  change(world, "customer.updated", request.customer, (it) => {
    it.currency ??= request.currency;
  });
  if (request.subscription) request.subscription.latest_invoice = invoice.id;
  if (request.autoAdvance)
    world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, request.finalizesAt);
  emit(world, "invoice.created", invoice);
  return invoice;
}

function takePendingItems(world: World, invoice: Invoice): void {
  for (const line of invoice.lines.data) {
    const item = world.store.get("invoiceitem", invoiceItemOf(line) ?? "");
    if (item) item.invoice = invoice.id;
  }
}

/** A customer's invoice items that wait for their next invoice. */
export function pendingItems(world: World, customer: string, subscription: string | null): InvoiceItem[] {
  return world.store.related("invoiceitem", "customer", customer).filter((item) => {
    const owner = item.parent?.subscription_details?.subscription ?? null;
    return item.invoice === null && (owner === null || owner === subscription);
  });
}

/** A draft can be thrown away; its items wait for another invoice. */
export function deleteDraft(world: World, invoice: Invoice): object {
  if (invoice.status !== "draft") {
    throw invalidRequest("You can only delete draft invoices.", { code: "invoice_not_editable" });
  }
  world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, null);
  for (const item of world.store.related("invoiceitem", "customer", invoice.customer ?? "")) {
    if (item.invoice === invoice.id) item.invoice = null;
  }
  emit(world, "invoice.deleted", invoice);
  return world.store.delete("invoice", invoice.id);
}
