import type { EmailName, EmailProps, ReceiptLine } from "../contract.ts";
import { previewInvoiceUrl } from "./setting.ts";

/** What sets a variant apart from the template's PreviewProps. */
type Variants = { readonly [Name in EmailName]: Readonly<Record<string, Partial<EmailProps[Name]>>> };

const overdueInvoices: EmailProps["payment-failed-notice"]["invoices"] = [
  {
    productName: "Studio",
    invoiceNumber: "NL-0042",
    amountDue: 14700,
    overdueSince: "2026-11-23T09:00:00Z",
    hostedInvoiceUrl: previewInvoiceUrl,
    collectionMethod: "charge_automatically",
  },
  {
    productName: "Archive",
    invoiceNumber: "NL-0051",
    amountDue: 1900,
    overdueSince: "2026-11-25T09:00:00Z",
    hostedInvoiceUrl: `${previewInvoiceUrl}_2`,
    collectionMethod: "send_invoice",
  },
];
const several = { invoices: overdueInvoices };
/** As many as an email lists, of more. */
const hundreds = {
  invoices: Array.from({ length: 20 }, (_, index) => ({
    ...overdueInvoices[1],
    amountDue: 1900,
    overdueSince: "2026-11-25T09:00:00Z",
    invoiceNumber: `NL-0${101 + index}`,
  })),
  invoiceCount: 400,
  totalDue: 760_000,
  // Of invoices that are sent nothing is collected.
  paymentMethod: null,
  declineCode: null,
  nextPaymentAttempt: null,
};
const leaving = { leaving: true, accessEndsAt: null, daysLeft: null, endAction: null };
const ends = (day: string) => ({ endsAt: `${day}T12:00:00Z`, action: "cancel" as const, leaving: false });
const ownDates = {
  invoices: overdueInvoices.map((invoice, index) => ({
    ...invoice,
    subscription: `sub_${index}`,
    terms: ends(index === 0 ? "2026-12-03" : "2026-12-05"),
  })),
};
const oneSubscription = {
  invoices: overdueInvoices.map((invoice) => ({
    ...invoice,
    productName: "Studio",
    subscription: "sub_0",
    terms: ends("2026-12-03"),
  })),
};
const sentInvoice = {
  invoices: overdueInvoices.slice(1),
  paymentMethod: null,
  declineCode: null,
  nextPaymentAttempt: null,
};

const period = { periodStart: "2026-11-23T09:00:00Z", periodEnd: "2026-12-23T09:00:00Z" };
/** As many as an event brings. */
const tenLines = Array.from(
  { length: 10 },
  (_, index): ReceiptLine => ({ description: `Workspace ${index + 1}`, quantity: 1, amount: 500, ...period }),
);

/**
 * Every way a template can turn out, beside the one its preview shows: pictured by the screenshot script and
 * held to the rules by the tests. Not part of what the functions carry.
 */
export const variants: Variants = {
  "trial-ending": {
    "no-payment-method": { paymentMethod: null },
    leaving: { leaving: true },
    free: { price: { amount: 0, currency: "eur", interval: "month", intervalCount: 1 } },
    "plus-tax": {
      price: { amount: 4900, currency: "eur", interval: "year", intervalCount: 1, plusTax: true },
    },
    tomorrow: { daysLeft: 1, trialEnd: "2026-11-24T09:00:00Z", price: null },
  },
  "trial-ended-without-card": { canceled: { outcome: "canceled" } },
  "payment-failed-notice": {
    several,
    hundreds,
    "own-dates": ownDates,
    "one-subscription": oneSubscription,
    leaving,
    "sent-invoice": sentInvoice,
    bare: { paymentMethod: null, ...leaving, leaving: false },
  },
  "payment-failed-urgent": {
    several,
    "own-dates": ownDates,
    "one-subscription": oneSubscription,
    leaving,
    "sent-invoice": sentInvoice,
    pause: { endAction: "pause" },
    "new-card-declined": { newCardDeclined: { type: "card", brand: "mastercard", last4: "4444" } },
  },
  "payment-failed-final": {
    several,
    "own-dates": ownDates,
    "one-subscription": oneSubscription,
    leaving,
    "sent-invoice": sentInvoice,
    pause: { endAction: "pause", daysLeft: 1 },
    "fixed-term": { setToEndAt: "2027-11-01T09:00:00Z" },
  },
  "payment-action-required": { "without-invoice-page": { hostedInvoiceUrl: null, paymentMethod: null } },
  "payment-recovered": {
    leaving: { leaving: true, invoicePdf: null },
    "still-owed": {
      nothingOverdue: false,
      stillOwed: [
        {
          productName: "Archive",
          invoiceNumber: "NL-0051",
          amountDue: 1900,
          currency: "usd",
          overdueSince: "2026-11-25T09:00:00Z",
          hostedInvoiceUrl: previewInvoiceUrl,
        },
      ],
      moreOwed: 3,
    },
    bare: { bill: null, nothingOverdue: null },
  },
  "subscription-canceled": {
    requested: { reason: "requested" },
    "at-period-end": { reason: "at_period_end" },
    "at-period-end-unpaid": {
      reason: "at_period_end",
      openInvoice: { amountDue: 4900, currency: "eur", hostedInvoiceUrl: previewInvoiceUrl },
      unlessPaid: { action: "cancel", at: "2026-11-20T12:00:00Z" },
    },
    "payment-failed": { reason: "payment_failed" },
    "payment-disputed": { reason: "payment_disputed" },
    "term-ended": { reason: "term_ended" },
    "open-invoice": {
      openInvoice: { amountDue: 4900, currency: "eur", hostedInvoiceUrl: previewInvoiceUrl },
    },
  },
  "subscription-paused": {
    nonpayment: {
      reason: "nonpayment",
      unpaid: { amount: 4900, currency: "eur", count: 1, hostedInvoiceUrl: previewInvoiceUrl },
    },
    "several-unpaid": {
      reason: "nonpayment",
      unpaid: { amount: 9800, currency: "eur", count: 2 },
    },
    "nothing-to-pay": { reason: "nonpayment" },
    other: { reason: "other" },
  },
  "subscription-resumed": { bare: { price: null, nextPaymentAt: null, paymentMethod: null } },
  "payment-receipt": {
    plain: {
      lines: [{ description: "Studio, monthly", quantity: 1, amount: 4900, ...period }],
      discounts: null,
      taxes: [{ label: "VAT", rate: 23, amount: 916, inclusive: true }],
      total: 4900,
      balanceBefore: -1000,
      balanceAfter: 0,
      amountPaid: 3900,
      invoicePdf: null,
    },
    "every-part": {
      lines: [
        { description: "Studio, monthly", quantity: 3, amount: 14700, ...period },
        { description: null, quantity: 1, amount: 1300, ...period },
      ],
      discounts: [{ label: "Autumn offer", amount: 1000 }, { amount: 300 }],
      billingCredits: 700,
      shipping: 500,
      taxes: [{ label: "VAT", rate: 19, amount: 2755 }],
      total: 17255,
      creditNotes: 255,
      balanceBefore: 2000,
      balanceAfter: 0,
      amountPaid: 19003,
    },
    "many-lines-jpy": {
      currency: "jpy",
      lines: tenLines,
      lineCount: 140,
      moreLines: true,
      discounts: null,
      taxes: [{ label: null, amount: 7000 }],
      total: 77000,
      amountPaid: 77000,
      hostedInvoiceUrl: null,
      invoicePdf: null,
    },
    "more-lines": {
      lines: tenLines,
      moreLines: true,
      discounts: null,
      taxes: null,
      total: 9000,
      amountPaid: 9000,
    },
  },
  "refund-issued": {
    partial: { scope: "partial", refundAmount: 1250, paymentMethod: null, receiptUrl: null },
  },
  "renewal-ahead": {
    invoiced: { collectionMethod: "send_invoice", paymentMethod: null },
    "no-payment-method": { paymentMethod: null },
    bare: { price: null },
  },
  "plan-changed": {
    quantity: {
      before: [{ name: "Studio", quantity: 3 }],
      after: [{ name: "Studio", quantity: 5 }],
      priceBefore: { amount: 14_700, currency: "eur", interval: "month", intervalCount: 1 },
      priceAfter: { amount: 24_500, currency: "eur", interval: "month", intervalCount: 1 },
      charged: null,
    },
    price: {
      after: [{ name: "Studio", quantity: 1 }],
      priceAfter: { amount: 5900, currency: "eur", interval: "month", intervalCount: 1 },
      charged: { amount: 0, currency: "eur" },
    },
    several: {
      before: [
        { name: "Studio", quantity: 1 },
        { name: "Archive", quantity: 1 },
      ],
      after: [{ name: "Studio", quantity: 2 }, { name: "Archive", quantity: 1 }, { name: null }],
      priceBefore: null,
      priceAfter: null,
      charged: null,
    },
    undone: { noLongerEndsAt: "2026-12-23T09:00:00Z" },
  },
  "dispute-opened": {
    inquiry: { kind: "inquiry", disputeReason: "fraudulent" },
    bare: { disputeReason: "a_new_reason", answerBy: null, paymentId: null, customerId: null },
  },
  "payment-method-removed": {
    debit: { removed: { type: "sepa_debit", last4: "3000" } },
    bare: { price: null, removed: null },
  },
  "cancellation-undone": {
    bare: { nextPaymentAt: null, price: null, paymentMethod: null },
  },
  "refund-failed": { canceled: { outcome: "canceled", paymentMethod: null, receiptUrl: null } },
  "card-expiring": { "unknown-brand": { paymentMethod: { type: "card", last4: "0004" } } },
};
