import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Charge, CreditNote, Invoice, Refund } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, missingParam } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { refundCharge } from "../payments/refunds.ts";
import { moveBalance } from "./balances.ts";
import { customerOfInvoice } from "./drafts.ts";
import { lowerDue, paymentsOf } from "./invoices.ts";

const reasons = ["duplicate", "fraudulent", "order_change", "product_unsatisfactory"] as const;

interface Parts {
  /** Taken off what is still to be paid. */
  pre: number;
  /** Given back of what was paid, in one of three ways. */
  refund: number;
  balance: number;
  outOfBand: number;
}

function linesFrom(invoice: Invoice, params: Params): CreditNote["lines"]["data"] {
  return (params.children("lines") ?? []).map((entry) => {
    const id = entry.text("invoice_line_item") ?? undefined;
    const line = invoice.lines.data.find((it) => it.id === id);
    const quantity = entry.integer("quantity") ?? 1;
    const unit = entry.integer("unit_amount") ?? null;
    const amount = entry.integer("amount") ?? (unit === null ? line?.amount : unit * quantity);
    if (amount == null) throw missingParam(entry.nameOf("amount"));
    return {
      id: newId("cnli"),
      object: "credit_note_line_item",
      amount,
      description: entry.text("description") ?? line?.description ?? null,
      discount_amount: 0,
      discount_amounts: [],
      ...(id === undefined ? {} : { invoice_line_item: id }),
      livemode: false,
      metadata: {},
      pretax_credit_amounts: [],
      quantity,
      tax_rates: [],
      taxes: [],
      type: id === undefined ? "custom_line_item" : "invoice_line_item",
      unit_amount: unit,
      unit_amount_decimal: unit === null ? null : String(unit),
    };
  });
}

/** How a credit note is shared out; it first lowers what is still to be paid. */
function partsOf(invoice: Invoice, total: number, params: Params): Parts {
  const pre = invoice.status === "open" ? Math.min(total, invoice.amount_remaining) : 0;
  const parts = {
    pre,
    refund: params.integer("refund_amount") ?? 0,
    balance: params.integer("credit_amount") ?? 0,
    outOfBand: params.integer("out_of_band_amount") ?? 0,
  };
  const post = total - pre;
  if (parts.refund + parts.balance + parts.outOfBand !== post) {
    throw invalidRequest(
      `The sum of credit amount, refund amount and out of band amount must equal the post payment amount (${post}).`,
    );
  }
  const left = Math.max(0, invoice.total - invoice.pre_payment_credit_notes_amount - pre);
  if (post > left - invoice.post_payment_credit_notes_amount) {
    throw invalidRequest("The credit note amount is greater than what can still be credited on the invoice.");
  }
  return parts;
}

/** The charge that paid an invoice. */
function chargeOf(world: World, invoice: Invoice): Charge {
  const paid = paymentsOf(world, invoice.id).find((it) => it.status === "paid" && it.payment.payment_intent);
  const intent = world.store.get("payment_intent", paid?.payment.payment_intent ?? "");
  const charge = world.store.get("charge", intent?.latest_charge ?? "");
  if (!charge)
    throw invalidRequest("The invoice has no charge that could be refunded.", { param: "refund_amount" });
  return charge;
}

function typeOf({ pre, refund, balance, outOfBand }: Parts): CreditNote["type"] {
  const post = refund + balance + outOfBand;
  return post === 0 ? "pre_payment" : pre === 0 ? "post_payment" : "mixed";
}

/**
 * `POST /v1/credit_notes`: an invoice that is final was too high. What is not yet paid is lowered, and an invoice of
 * which nothing is left is paid; of what was paid, money goes back to the card, to the balance, or by other ways.
 */
export function createCreditNote(world: World, invoice: Invoice, params: Params): CreditNote {
  if (invoice.status !== "open" && invoice.status !== "paid") {
    throw invalidRequest(
      `You can only create credit notes for open or paid invoices. This invoice is ${invoice.status}.`,
      { param: "invoice" },
    );
  }
  const lines = linesFrom(invoice, params);
  const total = params.integer("amount") ?? lines.reduce((sum, line) => sum + line.amount, 0);
  if (total <= 0) throw missingParam("amount");
  const parts = partsOf(invoice, total, params);
  const id = newId("cn");
  const customer = customerOfInvoice(world, invoice);
  const refund =
    parts.refund > 0 ? refundCharge(world, chargeOf(world, invoice), parts.refund, null, {}) : null;
  const moved =
    parts.balance > 0
      ? moveBalance(world, customer, -parts.balance, {
          type: "credit_note",
          invoice: invoice.id,
          creditNote: id,
        })
      : null;
  const note = world.store.insert<"credit_note">({
    ...blankNote(world, invoice, id, total, parts, refund),
    customer_balance_transaction: moved?.id ?? null,
    lines: { object: "list", data: lines, has_more: false, url: `/v1/credit_notes/${id}/lines` },
    memo: params.text("memo") ?? null,
    metadata: mergedMetadata({}, params.hash("metadata")),
    reason: params.choice("reason", reasons) ?? null,
  });
  emit(world, "credit_note.created", note);
  change(world, "invoice.updated", invoice, (it) => {
    it.post_payment_credit_notes_amount += total - parts.pre;
  });
  if (parts.pre > 0) lowerDue(world, invoice, parts.pre);
  return note;
}

function blankNote(
  world: World,
  invoice: Invoice,
  id: string,
  total: number,
  parts: Parts,
  refund: Refund | null,
): CreditNote & { object: "credit_note" } {
  const now = timeOf(world, invoice);
  const earlier = world.store.where("credit_note", (it) => it.invoice === invoice.id).length;
  return {
    id,
    object: "credit_note",
    amount: total,
    amount_shipping: 0,
    created: now,
    currency: invoice.currency,
    customer: invoice.customer ?? "",
    customer_account: null,
    customer_balance_transaction: null,
    discount_amount: 0,
    discount_amounts: [],
    effective_at: now,
    invoice: invoice.id,
    lines: { object: "list", data: [], has_more: false, url: `/v1/credit_notes/${id}/lines` },
    livemode: false,
    memo: null,
    metadata: {},
    number: `${invoice.number ?? ""}-CN-${String(earlier + 1).padStart(2, "0")}`,
    out_of_band_amount: parts.outOfBand > 0 ? parts.outOfBand : null,
    pdf: `${world.publicUrl}/credit_notes/${id}/pdf`,
    post_payment_amount: total - parts.pre,
    pre_payment_amount: parts.pre,
    pretax_credit_amounts: [],
    reason: null,
    refunds: refund
      ? [{ amount_refunded: refund.amount, payment_record_refund: null, refund: refund.id, type: "refund" }]
      : [],
    shipping_cost: null,
    status: "issued",
    subtotal: total,
    subtotal_excluding_tax: total,
    total,
    total_excluding_tax: total,
    total_taxes: [],
    type: typeOf(parts),
    voided_at: null,
  };
}

/** A credit note was a mistake; only as long as its invoice is open. */
export function voidCreditNote(world: World, note: CreditNote): CreditNote {
  const invoice = world.store.get("invoice", note.invoice);
  if (note.status === "void" || invoice?.status !== "open") {
    throw invalidRequest("You can only void issued credit notes of open invoices.");
  }
  note.status = "void";
  note.voided_at = timeOf(world, invoice);
  lowerDue(world, invoice, -note.pre_payment_amount);
  emit(world, "credit_note.voided", note);
  return note;
}
