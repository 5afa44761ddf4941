import { del, get, post } from "../../service/route.ts";
import { payInvoice } from "../billing/collection.ts";
import { customerOf } from "../billing/customers.ts";
import { blankInvoice, createDraft, deleteDraft, pendingItems, recompute } from "../billing/drafts.ts";
import { finalizeInvoice, markUncollectible, sendInvoice, voidInvoice } from "../billing/invoices.ts";
import { taxRatesFrom } from "../billing/items.ts";
import { itemLine } from "../billing/lines.ts";
import { previewRenewal } from "../billing/renewal.ts";
import { findSubscription } from "../billing/subscriptions.ts";
import { change } from "../core/events.ts";
import type { Invoice, InvoicePayment } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { pageOf, pageOfTable, timeFilter } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { type Call, idOf, type Route } from "../http/route.ts";
import { shippingCostFrom } from "./shipping-rates.ts";

export function invoiceOf(world: World, id: string, param = "id"): Invoice {
  const invoice = world.store.get("invoice", id);
  if (!invoice) throw resourceMissing("invoice", id, param);
  return invoice;
}

function create({ world, params }: Call): Invoice {
  const customer = customerOf(world, params.required("customer"), "customer");
  const subscriptionId = params.text("subscription");
  const subscription = subscriptionId ? findSubscription(world, subscriptionId, "subscription") : null;
  const collectionMethod = params.choice("collection_method", ["charge_automatically", "send_invoice"]);
  const manual = collectionMethod === "send_invoice";
  const daysUntilDue = params.integer("days_until_due") ?? null;
  const dueDate = params.integer("due_date") ?? null;
  if (manual && daysUntilDue === null && dueDate === null) throw missingParam("days_until_due");
  const include = subscription !== null || params.text("pending_invoice_items_behavior") === "include";
  const pending = include ? pendingItems(world, customer.id, subscription?.id ?? null) : [];
  const currency = params.text("currency") ?? pending[0]?.currency ?? customer.currency ?? "usd";
  const now = timeOf(world, customer);
  if (subscription && pending.length === 0) {
    throw invalidRequest("Nothing to invoice for subscription", {
      code: "invoice_no_subscription_line_items",
    });
  }
  return createDraft(world, {
    customer,
    subscription,
    billingReason: "manual",
    lines: pending.filter((item) => item.currency === currency).map(itemLine),
    currency,
    collectionMethod: collectionMethod ?? "charge_automatically",
    daysUntilDue,
    dueDate,
    autoAdvance: params.boolean("auto_advance") ?? false,
    finalizesAt: now + world.settings.draftSeconds,
    period: { start: now, end: now },
    defaultPaymentMethod: params.text("default_payment_method") ?? null,
    defaultTaxRates: taxRatesFrom(world, params.strings("default_tax_rates"), "default_tax_rates"),
    description: params.text("description") ?? null,
    footer: params.text("footer") ?? null,
    shippingCost: shippingCostFrom(world, params) ?? null,
    metadata: mergedMetadata({}, params.hash("metadata")),
  });
}

function update(call: Call): Invoice {
  const { world, params } = call;
  const invoice = invoiceOf(world, idOf(call));
  const frozen = ["collection_method", "days_until_due", "default_tax_rates", "description", "shipping_cost"];
  if (invoice.status !== "draft" && frozen.some((name) => params.has(name))) {
    throw invalidRequest("Finalized invoices can't be updated in this way", { code: "invoice_not_editable" });
  }
  change(world, "invoice.updated", invoice, (it) => {
    it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
    const description = params.text("description");
    if (description !== undefined) it.description = description;
    it.auto_advance = params.boolean("auto_advance") ?? it.auto_advance;
    const method = params.text("default_payment_method");
    if (method !== undefined) it.default_payment_method = method;
    it.collection_method =
      params.choice("collection_method", ["charge_automatically", "send_invoice"]) ?? it.collection_method;
    const due = params.integer("due_date");
    if (due !== undefined) it.due_date = due;
    const days = params.integer("days_until_due");
    if (days != null) it.due_date = timeOf(world, it) + days * 86_400;
    const shipping = shippingCostFrom(world, params);
    if (shipping !== undefined) {
      it.shipping_cost = shipping;
      recompute(world, it);
    }
  });
  rescheduleDraft(world, invoice);
  return invoice;
}

/** `auto_advance` decides whether Stripe carries on by itself. */
function rescheduleDraft(world: World, invoice: Invoice): void {
  const finalizesAt =
    invoice.status === "draft" && invoice.auto_advance
      ? timeOf(world, invoice) + world.settings.draftSeconds
      : null;
  if (
    invoice.status === "draft" &&
    (invoice.automatically_finalizes_at === null) !== (finalizesAt === null)
  ) {
    invoice.automatically_finalizes_at = finalizesAt;
    world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, finalizesAt);
  }
  if (invoice.status === "open" && !invoice.auto_advance) {
    world.jobs.set("invoice.attempt", invoice.id, invoice.test_clock, null);
  }
}

function list({ world, params }: Call): object {
  const customer = params.text("customer");
  const subscription = params.text("subscription");
  const status = params.text("status");
  const collection = params.text("collection_method");
  const due = timeFilter(params, "due_date");
  return pageOfTable(
    world,
    "invoice",
    params,
    "/v1/invoices",
    (it) =>
      (!customer || it.customer === customer) &&
      (!subscription || it.parent?.subscription_details?.subscription === subscription) &&
      (!status || it.status === status) &&
      (!collection || it.collection_method === collection) &&
      due(it.due_date),
  );
}

/** What a customer's next invoice would be; never stored. */
function preview({ world, params }: Call): Invoice {
  const subscriptionId = params.text("subscription");
  if (subscriptionId) {
    const invoice = previewRenewal(world, findSubscription(world, subscriptionId, "subscription"));
    invoice.id = invoice.id.replace("in_", "upcoming_in_");
    return invoice;
  }
  const customer = customerOf(world, params.required("customer"), "customer");
  const pending = pendingItems(world, customer.id, null);
  if (pending.length === 0) {
    throw invalidRequest("No upcoming invoices for customer: ".concat(customer.id), {
      code: "invoice_upcoming_none",
    });
  }
  const now = timeOf(world, customer);
  const invoice = blankInvoice(world, {
    customer,
    subscription: null,
    billingReason: "upcoming",
    lines: pending.map(itemLine),
    currency: pending[0]?.currency ?? "usd",
    collectionMethod: "charge_automatically",
    daysUntilDue: null,
    autoAdvance: true,
    finalizesAt: now + world.settings.draftSeconds,
    period: { start: now, end: now },
  });
  invoice.id = invoice.id.replace("in_", "upcoming_in_");
  return invoice;
}

/** Stripe goes on by itself, after it has answered. */
function collectSoon(world: World, invoice: Invoice): void {
  if (invoice.status !== "open" || invoice.collection_method !== "charge_automatically") return;
  const now = timeOf(world, invoice);
  change(world, "invoice.updated", invoice, (it) => {
    it.next_payment_attempt = now;
  });
  world.jobs.set("invoice.attempt", invoice.id, invoice.test_clock, now);
}

export const invoiceRoutes: Route[] = [
  post("/v1/invoices", create),
  get("/v1/invoices", list),
  post("/v1/invoices/create_preview", preview),
  get("/v1/invoices/:id", (call) => invoiceOf(call.world, idOf(call))),
  post("/v1/invoices/:id", update),
  del("/v1/invoices/:id", (call) => deleteDraft(call.world, invoiceOf(call.world, idOf(call)))),
  get("/v1/invoices/:id/lines", (call) => {
    const invoice = invoiceOf(call.world, idOf(call));
    return pageOf([...invoice.lines.data], call.params, invoice.lines.url);
  }),
  post("/v1/invoices/:id/finalize", (call) => {
    const invoice = invoiceOf(call.world, idOf(call));
    const advance = call.params.boolean("auto_advance");
    if (advance !== undefined) invoice.auto_advance = advance;
    finalizeInvoice(call.world, invoice);
    if (invoice.auto_advance) collectSoon(call.world, invoice);
    return invoice;
  }),
  post("/v1/invoices/:id/pay", (call) => {
    const { world, params } = call;
    return payInvoice(world, invoiceOf(world, idOf(call)), {
      paymentMethod: params.text("payment_method") ?? params.text("source") ?? null,
      outOfBand: params.boolean("paid_out_of_band") ?? false,
      offSession: params.boolean("off_session") ?? true,
    });
  }),
  post("/v1/invoices/:id/send", (call) => {
    const invoice = invoiceOf(call.world, idOf(call));
    sendInvoice(call.world, invoice);
    return invoice;
  }),
  post("/v1/invoices/:id/void", (call) => {
    const invoice = invoiceOf(call.world, idOf(call));
    voidInvoice(call.world, invoice);
    return invoice;
  }),
  post("/v1/invoices/:id/mark_uncollectible", (call) => {
    const invoice = invoiceOf(call.world, idOf(call));
    markUncollectible(call.world, invoice);
    return invoice;
  }),
];

function matchesPayment(
  params: Params,
): (it: Pick<InvoicePayment, "invoice" | "status" | "payment">) => boolean {
  const invoice = params.text("invoice");
  const status = params.text("status");
  const payment = params.child("payment");
  const type = payment?.required("type");
  const intent = payment?.text("payment_intent");
  const record = payment?.text("payment_record");
  return (it) =>
    (!invoice || it.invoice === invoice) &&
    (!status || it.status === status) &&
    (!type || it.payment.type === type) &&
    (!intent || it.payment.payment_intent === intent) &&
    (!record || it.payment.payment_record === record);
}

export const invoicePaymentRoutes: Route[] = [
  get("/v1/invoice_payments", ({ world, params }) =>
    pageOfTable(world, "invoice_payment", params, "/v1/invoice_payments", matchesPayment(params)),
  ),
  get("/v1/invoice_payments/:id", (call) => {
    const payment = call.world.store.get("invoice_payment", idOf(call));
    if (!payment) throw resourceMissing("invoice_payment", idOf(call));
    return payment;
  }),
];
