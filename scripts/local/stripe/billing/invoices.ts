import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { Invoice, InvoicePayment } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { invoicePayment } from "../objects/invoices.ts";
import { cancelIntent, createIntent } from "../payments/intents.ts";
import { insertRecord } from "../payments/records.ts";
import { moveBalance } from "./balances.ts";
import { useUp } from "./discounts.ts";
import { customerOfInvoice, recompute, subscriptionOf } from "./drafts.ts";
import { afterInvoice } from "./standing.ts";

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
    const announced = it.billing_reason !== "subscription_create" || it.created !== now;
    useUp(world, discounts, subscription, now, announced);
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
  const applied = (invoice.ending_balance ?? 0) - invoice.starting_balance;
  if (applied !== 0) {
    const move = { type: "applied_to_invoice", invoice: invoice.id, currency: invoice.currency } as const;
    moveBalance(world, customer, applied, move);
  }
  spendCredit(world, invoice);
  if (invoice.amount_due > 0) preparePayment(world, invoice);
  emit(world, "invoice.finalized", invoice);
  if (invoice.amount_due === 0) markPaid(world, invoice);
  else if (invoice.due_date !== null) {
    world.jobs.set("invoice.overdue", invoice.id, invoice.test_clock, invoice.due_date);
  }
}

/** The billing credit on a final invoice is gone. */
function spendCredit(world: World, invoice: Invoice): void {
  const { creditLeft, creditUsed } = world.store.hidden;
  for (const { grant, amount } of creditUsed.get(invoice.id) ?? [])
    creditLeft.set(grant, (creditLeft.get(grant) ?? 0) - amount);
  creditUsed.delete(invoice.id);
}

/** The PaymentIntent a final invoice is paid with, and the record that ties the two. */
export function preparePayment(world: World, invoice: Invoice): void {
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
  world.store.insert<"invoice_payment">(
    invoicePayment({
      id: newId("inpay"),
      amount_requested: invoice.amount_due,
      created: timeOf(world, invoice),
      currency: invoice.currency,
      invoice: invoice.id,
      payment: { payment_intent: intent.id, type: "payment_intent" },
    }),
  );
}

/** The payments of an invoice, newest first. */
export function paymentsOf(world: World, invoice: string): InvoicePayment[] {
  return world.store.related("invoice_payment", "invoice", invoice).reverse();
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

/** The invoice is paid: by its payment, by money that came past Stripe, or because there was nothing to pay. */
export function markPaid(world: World, invoice: Invoice, isPastStripe = false): void {
  const now = timeOf(world, invoice);
  stopCollection(world, invoice);
  const payment = openPayment(world, invoice);
  if (payment) {
    payment.status = "paid";
    payment.amount_paid = payment.amount_requested;
    payment.status_transitions.paid_at = now;
    emit(world, "invoice_payment.paid", payment, invoice);
  }
  change(world, "invoice.updated", invoice, (it) => {
    it.status = "paid";
    it.amount_paid = it.amount_due;
    it.amount_remaining = 0;
    if (it.amount_due > 0 && !isPastStripe) {
      it.attempted = true;
      // Any attempt is the first; after it only Stripe's own count.
      it.attempt_count = world.request === null ? it.attempt_count + 1 : Math.max(1, it.attempt_count);
    }
    it.next_payment_attempt = null;
    it.status_transitions.paid_at = now;
  });
  recordEffect(world, "invoice.paid", invoice, invoice.amount_due, isPastStripe ? "past Stripe" : null);
  emit(world, "invoice.paid", invoice);
  emit(world, "invoice.payment_succeeded", invoice);
  afterInvoice(world, invoice);
}

/**
 * A credit note lowers (or, voided, raises again) what is due of an open invoice. One of which nothing is left is paid.
 * @param amount in the currency's smallest unit, no more than what remains
 */
export function lowerDue(world: World, invoice: Invoice, amount: number): void {
  const rest = openPayment(world, invoice);
  change(world, "invoice.updated", invoice, (it) => {
    it.pre_payment_credit_notes_amount += amount;
    it.amount_due -= amount;
    it.amount_remaining -= amount;
  });
  if (invoice.amount_remaining === 0) {
    if (rest) dropPayment(world, rest, "void_invoice");
    markPaid(world, invoice);
  } else if (rest) lowerRequest(world, rest, amount);
}

/** Keep the payment that is still to be made in step with what remains. */
function lowerRequest(world: World, payment: InvoicePayment, amount: number): void {
  payment.amount_requested -= amount;
  const intent = world.store.get("payment_intent", payment.payment.payment_intent ?? "");
  if (intent) intent.amount -= amount;
}

/**
 * Money that came another way than by Stripe, as a payment record, pays an open invoice or a part of it; what is
 * too much is credited to the customer's balance.
 * @param amount in the currency's smallest unit
 */
export function attachRecord(world: World, invoice: Invoice, record: string, amount: number): void {
  if (invoice.status !== "open") throw invalidRequest("You can only attach payments to open invoices.");
  if (amount < invoice.amount_remaining) {
    payPart(world, invoice, amount, record);
    return;
  }
  const over = amount - invoice.amount_remaining;
  payByRecord(world, invoice, record);
  if (over === 0) return;
  change(world, "invoice.updated", invoice, (it) => {
    it.amount_overpaid = over;
  });
  const customer = customerOfInvoice(world, invoice);
  moveBalance(world, customer, -over, {
    type: "invoice_overpaid",
    invoice: invoice.id,
    currency: invoice.currency,
  });
}

/** A payment record pays all that remains. */
function payByRecord(world: World, invoice: Invoice, record: string): void {
  const rest = openPayment(world, invoice);
  if (rest) {
    const part = insertRecordPayment(world, rest, invoice.amount_remaining, record);
    dropPayment(world, rest, "failed_invoice");
    emit(world, "invoice_payment.paid", part, invoice);
  }
  markPaid(world, invoice, true);
}

/** Somebody says that an invoice was paid out of band: Stripe keeps a payment record of what remained. */
export function payOutOfBand(world: World, invoice: Invoice): void {
  const { amount_remaining: value, currency } = invoice;
  const { id, email, name, phone } = customerOfInvoice(world, invoice);
  const customer = { customer: id, email, name: name ?? null, phone: phone ?? null };
  const created = timeOf(world, invoice);
  const record = insertRecord(world, { value, guaranteed: value, currency, created, customer });
  payByRecord(world, invoice, record.id);
}

function insertRecordPayment(
  world: World,
  rest: InvoicePayment,
  amount: number,
  record: string,
): InvoicePayment {
  const now = timeOf(world, world.store.get("invoice", rest.invoice) ?? null);
  return world.store.insert<"invoice_payment">({
    ...rest,
    object: "invoice_payment",
    id: newId("inpay"),
    amount_paid: amount,
    amount_requested: amount,
    created: now,
    is_default: false,
    payment: { payment_record: record, type: "payment_record" },
    status: "paid",
    status_transitions: { canceled_at: null, paid_at: now },
  });
}

/**
 * A transfer pays a part of an open invoice; the rest is still to be paid.
 * @param amount in the currency's smallest unit, less than what remains
 */
export function payPart(world: World, invoice: Invoice, amount: number, record = newId("pr")): void {
  const rest = openPayment(world, invoice);
  if (invoice.status !== "open" || amount <= 0 || amount >= invoice.amount_remaining || !rest) {
    throw invalidRequest(`${amount} is no part of what remains to be paid of this invoice.`);
  }
  const part = insertRecordPayment(world, rest, amount, record);
  lowerRequest(world, rest, amount);
  emit(world, "invoice_payment.paid", part, invoice);
  change(world, "invoice.updated", invoice, (it) => {
    it.amount_paid += amount;
    it.amount_remaining -= amount;
  });
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
