import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type {
  Customer,
  Invoice,
  InvoiceItem,
  InvoiceLine,
  InvoicePayment,
  Subscription,
  TaxRate,
} from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { cancelIntent, createIntent } from "../payments/intents.ts";
import { discountsAt, useUp } from "./discounts.ts";
import { invoiceItemOf } from "./lines.ts";
import { afterInvoice } from "./standing.ts";
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
  metadata?: Record<string, string>;
}

/** What an invoice looks like before anything has happened to it; not yet stored. */
export function blankInvoice(world: World, request: DraftRequest): Invoice & { object: "invoice" } {
  const { customer, subscription } = request;
  const id = newId("in");
  const now = timeOf(world, customer);
  for (const line of request.lines) line.invoice = id;
  const invoice: Invoice & { object: "invoice" } = {
    id,
    object: "invoice",
    account_country: "US",
    account_name: "Duebase local",
    account_tax_ids: null,
    amount_due: 0,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_paid_off_stripe: 0,
    amount_remaining: 0,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: request.autoAdvance,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: request.autoAdvance ? request.finalizesAt : null,
    billing_reason: request.billingReason,
    collection_method: request.collectionMethod,
    created: now,
    currency: request.currency,
    custom_fields: null,
    customer: customer.id,
    customer_account: null,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: customer.shipping,
    customer_tax_exempt: customer.tax_exempt ?? "none",
    customer_tax_ids: [],
    default_payment_method: request.defaultPaymentMethod ?? null,
    default_source: null,
    default_tax_rates: request.defaultTaxRates ?? [],
    description: request.description ?? null,
    discounts: [],
    due_date: request.dueDate ?? (request.daysUntilDue === null ? null : now + request.daysUntilDue * 86_400),
    effective_at: null,
    ending_balance: null,
    footer: request.footer ?? null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    lines: { object: "list", data: request.lines, has_more: false, url: `/v1/invoices/${id}/lines` },
    livemode: false,
    metadata: request.metadata ?? {},
    next_payment_attempt:
      request.autoAdvance && request.collectionMethod === "charge_automatically" ? request.finalizesAt : null,
    number: null,
    on_behalf_of: null,
    parent: subscription
      ? {
          quote_details: null,
          subscription_details: { metadata: { ...subscription.metadata }, subscription: subscription.id },
          type: "subscription_details",
        }
      : null,
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    period_end: request.period.end,
    period_start: request.period.start,
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
    test_clock: customer.test_clock ?? null,
    total: 0,
    total_discount_amounts: [],
    total_excluding_tax: null,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: null,
  };
  recompute(world, invoice);
  return invoice;
}

/** The subscription an invoice is for. */
export function subscriptionOf(world: World, invoice: Invoice): Subscription | undefined {
  const id = invoice.parent?.subscription_details?.subscription;
  return id ? world.store.get("subscription", id) : undefined;
}

function customerOfInvoice(world: World, invoice: Invoice): Customer {
  const customer = invoice.customer ? world.store.get("customer", invoice.customer) : undefined;
  if (!customer) throw resourceMissing("customer", invoice.customer ?? "", "customer");
  return customer;
}

/** Work out a draft's totals anew after its lines changed. */
export function recompute(world: World, invoice: Invoice): void {
  const customer = customerOfInvoice(world, invoice);
  const subscription = subscriptionOf(world, invoice) ?? null;
  const discounts = discountsAt(world, customer, subscription, timeOf(world, customer));
  computeTotals(world, invoice, discounts, invoice.default_tax_rates, customer.balance);
}

/** Store a new draft; the invoice items on it are taken. */
export function createDraft(world: World, request: DraftRequest): Invoice {
  const invoice = world.store.insert<"invoice">(blankInvoice(world, request));
  claimItems(world, invoice);
  request.customer.currency ??= request.currency;
  if (request.subscription) request.subscription.latest_invoice = invoice.id;
  if (request.autoAdvance)
    world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, request.finalizesAt);
  emit(world, "invoice.created", invoice);
  return invoice;
}

function claimItems(world: World, invoice: Invoice): void {
  for (const line of invoice.lines.data) {
    const item = world.store.get("invoiceitem", invoiceItemOf(line) ?? "");
    if (item) item.invoice = invoice.id;
  }
}

/** A customer's invoice items that wait for their next invoice. */
export function pendingItems(world: World, customer: string, subscription: string | null): InvoiceItem[] {
  return world.store.where("invoiceitem", (item) => {
    const owner = item.parent?.subscription_details?.subscription ?? null;
    return item.customer === customer && item.invoice === null && (owner === null || owner === subscription);
  });
}

/** Make a draft final: number it, apply the balance, prepare its payment. An invoice of nothing is paid at once. */
export function finalizeInvoice(world: World, invoice: Invoice): void {
  if (invoice.status !== "draft") {
    throw invalidRequest("This invoice is already finalized, you can't re-finalize a non-draft invoice.", {
      code: "invoice_not_editable",
    });
  }
  const customer = customerOfInvoice(world, invoice);
  const now = timeOf(world, invoice);
  const subscription = subscriptionOf(world, invoice) ?? null;
  world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, null);
  change(world, "invoice.updated", invoice, (it) => {
    recompute(world, it);
    const discounts = it.discounts.flatMap((id) => world.store.get("discount", id) ?? []);
    useUp(world, discounts, subscription, now);
    const sequence = customer.next_invoice_sequence ?? 1;
    it.number = `${customer.invoice_prefix ?? "LOCAL"}-${String(sequence).padStart(4, "0")}`;
    customer.next_invoice_sequence = sequence + 1;
    it.status = "open";
    it.status_transitions.finalized_at = now;
    it.effective_at = now;
    it.automatically_finalizes_at = null;
    it.webhooks_delivered_at = now;
    const secret = randomToken(24);
    it.hosted_invoice_url = `${world.publicUrl}/i/${it.id}/${secret}`;
    it.invoice_pdf = `${world.publicUrl}/i/${it.id}/${secret}/pdf`;
    it.ending_balance = Math.min(0, it.total + it.starting_balance);
  });
  if (customer.balance !== invoice.ending_balance && invoice.starting_balance !== 0) {
    change(world, "customer.updated", customer, (it) => {
      it.balance = invoice.ending_balance ?? 0;
    });
  } else if ((invoice.ending_balance ?? 0) < 0) {
    change(world, "customer.updated", customer, (it) => {
      it.balance = invoice.ending_balance ?? 0;
    });
  }
  if (invoice.amount_due > 0) preparePayment(world, invoice);
  emit(world, "invoice.finalized", invoice);
  if (invoice.amount_due === 0) markPaid(world, invoice);
  else if (invoice.due_date !== null) {
    world.jobs.set("invoice.overdue", invoice.id, invoice.test_clock, invoice.due_date);
  }
}

/** The PaymentIntent a final invoice is paid with, and the record that ties the two. */
function preparePayment(world: World, invoice: Invoice): void {
  const intent = createIntent(world, {
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer: invoice.customer,
    captureMethod: "automatic",
    description: subscriptionOf(world, invoice)
      ? invoice.billing_reason === "subscription_create"
        ? "Subscription creation"
        : "Subscription update"
      : `Payment for Invoice ${invoice.number ?? ""}`,
    metadata: {},
    paymentMethodTypes: ["card"],
    receiptEmail: null,
    setupFutureUsage: subscriptionOf(world, invoice) ? "off_session" : null,
    shipping: null,
  });
  world.store.insert<"invoice_payment">({
    id: newId("inpay"),
    object: "invoice_payment",
    amount_paid: null,
    amount_requested: invoice.amount_due,
    created: timeOf(world, invoice),
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: true,
    livemode: false,
    payment: { payment_intent: intent.id, type: "payment_intent" },
    status: "open",
    status_transitions: { canceled_at: null, paid_at: null },
  });
}

/** The payments of an invoice, newest first. */
export function paymentsOf(world: World, invoice: string): InvoicePayment[] {
  return world.store.where("invoice_payment", (it) => it.invoice === invoice).reverse();
}

/** The payment that is still to be made. */
export function openPayment(world: World, invoice: Invoice): InvoicePayment | undefined {
  return paymentsOf(world, invoice.id).find((payment) => payment.status === "open");
}

/** No more attempts, no more reminders. */
export function stopCollection(world: World, invoice: Invoice): void {
  for (const kind of ["invoice.finalize", "invoice.attempt", "invoice.overdue"]) {
    world.jobs.set(kind, invoice.id, invoice.test_clock, null);
  }
}

/** The invoice is settled: by its payment, out of band, or because there was nothing to pay. */
export function markPaid(world: World, invoice: Invoice, outOfBand = false): void {
  const now = timeOf(world, invoice);
  stopCollection(world, invoice);
  const payment = openPayment(world, invoice);
  if (payment && outOfBand) dropPayment(world, payment, "failed_invoice");
  else if (payment) {
    payment.status = "paid";
    payment.amount_paid = payment.amount_requested;
    payment.status_transitions.paid_at = now;
    emit(world, "invoice_payment.paid", payment, invoice);
  }
  change(world, "invoice.updated", invoice, (it) => {
    it.status = "paid";
    it.amount_paid = outOfBand ? 0 : it.amount_due;
    it.amount_paid_off_stripe = outOfBand ? it.amount_due : 0;
    it.amount_remaining = 0;
    if (it.amount_due > 0 && !outOfBand) {
      it.attempted = true;
      // Any attempt is the first; after it only Stripe's own count.
      it.attempt_count = world.request === null ? it.attempt_count + 1 : Math.max(1, it.attempt_count);
    }
    it.next_payment_attempt = null;
    it.status_transitions.paid_at = now;
  });
  recordEffect(world, "invoice.paid", invoice, invoice.amount_due, outOfBand ? "out of band" : null);
  emit(world, "invoice.paid", invoice);
  emit(world, "invoice.payment_succeeded", invoice);
  afterInvoice(world, invoice);
}

function dropPayment(world: World, payment: InvoicePayment, reason: "void_invoice" | "failed_invoice"): void {
  payment.status = "canceled";
  payment.status_transitions.canceled_at = timeOf(world, world.store.get("invoice", payment.invoice) ?? null);
  const intent = world.store.get("payment_intent", payment.payment.payment_intent ?? "");
  if (intent && !["succeeded", "canceled", "processing"].includes(intent.status))
    cancelIntent(world, intent, reason);
}

/** An invoice that was a mistake. */
export function voidInvoice(world: World, invoice: Invoice): void {
  if (invoice.status !== "open" && invoice.status !== "uncollectible") {
    throw invalidRequest(
      invoice.status === "void"
        ? "This invoice is already voided."
        : `You can only pass in open or uncollectible invoices. This invoice isn't open: its status is ${invoice.status}.`,
    );
  }
  stopCollection(world, invoice);
  const payment = openPayment(world, invoice);
  if (payment) dropPayment(world, payment, "void_invoice");
  change(world, "invoice.updated", invoice, (it) => {
    it.status = "void";
    it.auto_advance = false;
    it.next_payment_attempt = null;
    it.status_transitions.voided_at = timeOf(world, it);
  });
  recordEffect(world, "invoice.voided", invoice, invoice.amount_due);
  emit(world, "invoice.voided", invoice);
  afterInvoice(world, invoice);
}

/** An invoice that will not be paid. */
export function markUncollectible(world: World, invoice: Invoice): void {
  if (invoice.status !== "open") {
    throw invalidRequest(
      `You can only mark open invoices as uncollectible. This invoice's status is ${invoice.status}.`,
    );
  }
  stopCollection(world, invoice);
  change(world, "invoice.updated", invoice, (it) => {
    it.status = "uncollectible";
    it.next_payment_attempt = null;
    it.status_transitions.marked_uncollectible_at = timeOf(world, it);
  });
  recordEffect(world, "invoice.marked_uncollectible", invoice, invoice.amount_due);
  emit(world, "invoice.marked_uncollectible", invoice);
  afterInvoice(world, invoice);
}

/** Mail the invoice to the customer (here: say so). A draft is made final first. */
export function sendInvoice(world: World, invoice: Invoice): void {
  if (invoice.collection_method !== "send_invoice") {
    throw invalidRequest("You can only manually send an invoice if its collection method is 'send_invoice'.");
  }
  if (invoice.status === "draft") finalizeInvoice(world, invoice);
  recordEffect(world, "invoice.sent", invoice, invoice.amount_due);
  emit(world, "invoice.sent", invoice);
}

/** A draft can be thrown away; its items wait for another invoice. */
export function deleteDraft(world: World, invoice: Invoice): object {
  if (invoice.status !== "draft") {
    throw invalidRequest("You can only delete draft invoices.", { code: "invoice_not_editable" });
  }
  stopCollection(world, invoice);
  for (const item of world.store.where("invoiceitem", (it) => it.invoice === invoice.id)) item.invoice = null;
  emit(world, "invoice.deleted", invoice);
  return world.store.delete("invoice", invoice.id);
}
