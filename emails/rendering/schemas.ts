import * as z from "zod";
import type { Brand, EmailName, EmailProps, MinorUnits } from "../contract.ts";
import { parseTimestamp } from "./format.ts";
import { checkLink } from "./links.ts";
import { cleanName } from "./names.ts";

/**
 * What may come out of the outbox. Names leave here bounded and on one line, links checked, timestamps in one
 * spelling; an unknown field is refused, because it is a misspelt one more often than a harmless one.
 */

// Compiling a schema at run time costs more than the few checks a mail needs, and some runtimes forbid it.
z.config({ jitless: true });

/** No real bill has more than this; an attacker's is refused instead of laid out. */
const most = { invoices: 50, lines: 1000, parts: 100, taxIds: 5 };

const absent = <Type extends z.ZodType>(type: Type) => z.nullish(type);
const name = z.string().transform((text) => cleanName(text));
const code = z.string().max(64, "too long");
const currency = z.string().regex(/^[a-z]{3}$/i, "not a currency code of three letters");
const timestamp = z.string().transform((text, context) => {
  const date = parseTimestamp(text);
  if (date) return date.toISOString();
  context.addIssue({ code: "custom", message: "not a timestamp with its time zone (2026-11-23T09:00:00Z)" });
  return z.NEVER;
});
const link = z.string().transform((text, context) => {
  const checked = checkLink(text);
  if ("href" in checked) return checked.href;
  context.addIssue({ code: "custom", message: checked.problem });
  return z.NEVER;
});
const amount = z.custom<MinorUnits>(
  (value) => Number.isSafeInteger(value) || (typeof value === "string" && /^-?\d{1,19}$/.test(value)),
  "not an integer in the currency's minor unit (a number, or a string of digits)",
);
const wholeDays = z.int().min(0, "fewer than no days").max(3660, "more than ten years");

const paymentMethod = z.strictObject({
  type: code,
  name: absent(z.string()),
  brand: absent(code),
  last4: absent(z.string().regex(/^[0-9A-Za-z]{0,4}$/, "not the last four characters of a card or account")),
});
const price = z.strictObject({
  amount,
  currency,
  interval: z.enum(["day", "week", "month", "year"]),
  intervalCount: z.int().min(1, "fewer than one interval").max(1000, "more than a thousand intervals"),
  plusTax: absent(z.boolean()),
});

const party = z.strictObject({
  name: absent(name),
  address: absent(
    z.strictObject({
      line1: absent(name),
      line2: absent(name),
      city: absent(name),
      postalCode: absent(name),
      state: absent(name),
      country: absent(z.string().regex(/^[A-Z]{2}$/, "not a country code of two letters")),
    }),
  ),
  taxIds: absent(z.array(z.strictObject({ type: code, value: name })).max(most.taxIds, "too many tax ids")),
});
const betweenParties = { billedTo: absent(party), soldBy: absent(party) };

const toCustomer = { customerName: absent(name) };
const aboutProduct = { ...toCustomer, productName: absent(name) };

const planLines = z
  .array(z.strictObject({ name: absent(name), quantity: absent(z.number().min(0, "a negative quantity")) }))
  .min(1, "a plan of nothing")
  .max(most.parts, "too many items");

const paymentFailed = z.strictObject({
  ...toCustomer,
  currency,
  invoices: z
    .array(
      z.strictObject({
        productName: absent(name),
        invoiceNumber: absent(name),
        amountDue: amount,
        overdueSince: timestamp,
        hostedInvoiceUrl: absent(link),
        collectionMethod: absent(z.enum(["charge_automatically", "send_invoice"])),
        subscription: absent(z.string().max(255, "too long")),
        terms: absent(
          z.strictObject({
            endsAt: absent(timestamp),
            action: absent(z.enum(["cancel", "pause"])),
            setToEndAt: absent(timestamp),
            leaving: z.boolean(),
          }),
        ),
      }),
    )
    .min(1, "no invoice to write about")
    .max(
      most.lines,
      `more than ${most.lines} invoices: leave the rest out, and say how many there are in invoiceCount`,
    ),
  invoiceCount: absent(z.int().min(1, "fewer than one invoice")),
  totalDue: absent(amount),
  paymentMethod: absent(paymentMethod),
  declineCode: absent(code),
  newCardDeclined: absent(paymentMethod),
  nextPaymentAttempt: absent(timestamp),
  accessEndsAt: absent(timestamp),
  daysLeft: absent(wholeDays),
  setToEndAt: absent(timestamp),
  endAction: absent(z.enum(["cancel", "pause"])),
  accessContinues: absent(z.boolean()),
  leaving: z.boolean(),
});

const bill = {
  lines: z
    .array(
      z.strictObject({
        description: absent(name),
        quantity: absent(z.number().min(0, "a negative quantity")),
        amount,
        periodStart: absent(timestamp),
        periodEnd: absent(timestamp),
      }),
    )
    .max(most.lines, `more than ${most.lines} lines; send the first of them, and lineCount`),
  lineCount: absent(z.int().min(0, "fewer than no lines")),
  moreLines: absent(z.boolean()),
  discounts: absent(
    z.array(z.strictObject({ label: absent(name), amount })).max(most.parts, "too many discounts"),
  ),
  shipping: absent(amount),
  taxes: absent(
    z
      .array(
        z.strictObject({
          label: absent(name),
          rate: absent(z.number().min(0, "a negative rate")),
          amount,
          inclusive: absent(z.boolean()),
        }),
      )
      .max(most.parts, "too many taxes"),
  ),
  billingCredits: absent(amount),
  total: amount,
  creditNotes: absent(amount),
  balanceBefore: absent(amount),
  balanceAfter: absent(amount),
};

/** One schema an email; the compiler holds each to the props its template takes. */
export const schemas: { [Name in EmailName]: z.ZodType<EmailProps[Name]> } = {
  "trial-ending": z.strictObject({
    ...aboutProduct,
    trialEnd: timestamp,
    daysLeft: wholeDays,
    price: absent(price),
    paymentMethod: absent(paymentMethod),
    leaving: z.boolean(),
  }),
  "trial-ended-without-card": z.strictObject({
    ...aboutProduct,
    trialEnd: timestamp,
    outcome: z.enum(["canceled", "paused"]),
    price: absent(price),
  }),
  "payment-failed-notice": paymentFailed,
  "payment-failed-urgent": paymentFailed,
  "payment-failed-final": paymentFailed,
  "payment-action-required": z.strictObject({
    ...aboutProduct,
    amountDue: amount,
    currency,
    invoiceNumber: absent(name),
    paymentMethod: absent(paymentMethod),
    hostedInvoiceUrl: absent(link),
  }),
  "payment-recovered": z.strictObject({
    ...aboutProduct,
    amountPaid: amount,
    currency,
    paidAt: timestamp,
    invoiceNumber: absent(name),
    paymentMethod: absent(paymentMethod),
    hostedInvoiceUrl: absent(link),
    invoicePdf: absent(link),
    bill: absent(z.strictObject(bill)),
    leaving: z.boolean(),
    nothingOverdue: absent(z.boolean()),
    stillOwed: absent(
      z
        .array(
          z.strictObject({
            productName: absent(name),
            invoiceNumber: absent(name),
            amountDue: amount,
            currency,
            overdueSince: timestamp,
            hostedInvoiceUrl: absent(link),
          }),
        )
        .max(most.invoices, `more than ${most.invoices} invoices`),
    ),
    moreOwed: absent(z.int().min(0, "fewer than none")),
    ...betweenParties,
  }),
  "subscription-canceled": z.strictObject({
    ...aboutProduct,
    reason: z.enum([
      "requested",
      "at_period_end",
      "nonpayment",
      "payment_failed",
      "payment_disputed",
      "term_ended",
    ]),
    endsAt: timestamp,
    openInvoice: absent(z.strictObject({ amountDue: amount, currency, hostedInvoiceUrl: absent(link) })),
    unlessPaid: absent(z.strictObject({ action: z.enum(["cancel", "pause"]), at: timestamp })),
  }),
  "subscription-paused": z.strictObject({
    ...aboutProduct,
    reason: z.enum(["requested", "nonpayment", "other"]),
    pausedAt: timestamp,
    unpaid: absent(
      z.strictObject({
        amount,
        currency,
        count: z.int().min(1, "fewer than one invoice"),
        hostedInvoiceUrl: absent(link),
      }),
    ),
  }),
  "subscription-resumed": z.strictObject({
    ...aboutProduct,
    resumedAt: timestamp,
    nextPaymentAt: absent(timestamp),
    price: absent(price),
    paymentMethod: absent(paymentMethod),
  }),
  "payment-receipt": z.strictObject({
    ...aboutProduct,
    currency,
    invoiceNumber: absent(name),
    paidAt: timestamp,
    ...bill,
    amountPaid: amount,
    paymentMethod: absent(paymentMethod),
    hostedInvoiceUrl: absent(link),
    invoicePdf: absent(link),
    ...betweenParties,
  }),
  "refund-issued": z.strictObject({
    ...aboutProduct,
    refundAmount: amount,
    currency,
    scope: z.enum(["full", "partial"]),
    paymentAmount: absent(amount),
    issuedAt: timestamp,
    invoiceNumber: absent(name),
    paymentMethod: absent(paymentMethod),
    receiptUrl: absent(link),
  }),
  "refund-failed": z.strictObject({
    ...aboutProduct,
    refundAmount: amount,
    currency,
    outcome: z.enum(["failed", "canceled"]),
    paymentAmount: absent(amount),
    issuedAt: timestamp,
    invoiceNumber: absent(name),
    paymentMethod: absent(paymentMethod),
    receiptUrl: absent(link),
  }),
  "card-expiring": z.strictObject({
    ...aboutProduct,
    paymentMethod,
    expMonth: z.int().min(1, "not a month from 1 to 12").max(12, "not a month from 1 to 12"),
    expYear: z.int().min(2000, "not a year of four digits").max(9999, "not a year of four digits"),
    nextPaymentAt: absent(timestamp),
  }),
  "renewal-ahead": z.strictObject({
    ...aboutProduct,
    renewsAt: timestamp,
    price: absent(price),
    collectionMethod: absent(z.enum(["charge_automatically", "send_invoice"])),
    paymentMethod: absent(paymentMethod),
  }),
  "plan-changed": z.strictObject({
    ...toCustomer,
    changedAt: timestamp,
    before: planLines,
    after: planLines,
    priceBefore: absent(price),
    priceAfter: absent(price),
    charged: absent(z.strictObject({ amount, currency })),
    nextPaymentAt: absent(timestamp),
    noLongerEndsAt: absent(timestamp),
  }),
  "dispute-opened": z.strictObject({
    kind: z.enum(["dispute", "inquiry"]),
    amount,
    currency,
    disputeReason: absent(code.transform((text) => cleanName(text))),
    answerBy: absent(timestamp),
    disputeId: name,
    paymentId: absent(name),
    customerId: absent(name),
    url: link,
  }),
  "payment-method-removed": z.strictObject({
    ...aboutProduct,
    nextPaymentAt: timestamp,
    price: absent(price),
    removed: absent(paymentMethod),
  }),
  "cancellation-undone": z.strictObject({
    ...aboutProduct,
    wasToEndAt: timestamp,
    nextPaymentAt: absent(timestamp),
    price: absent(price),
    paymentMethod: absent(paymentMethod),
  }),
};

/** Links and names must be right; a colour or time zone that is not gives the default instead of no email. */
export const brandSchema: z.ZodType<Brand> = z.strictObject({
  appName: name.refine((text) => text !== "", "an application without a name"),
  appUrl: link,
  billingUrl: absent(link),
  logoUrl: absent(link),
  color: absent(z.string()),
  supportEmail: absent(
    z
      .string()
      .max(254, "longer than an address can be")
      .regex(/^[^\s@<>"]+@[^\s@<>"]+$/, "not an email address"),
  ),
  postalAddress: absent(
    z.string().transform((text) =>
      text
        .split(/\r?\n/, 8)
        .map((line) => cleanName(line, 120))
        .filter((line) => line !== "")
        .join("\n"),
    ),
  ),
  timeZone: absent(z.string()),
  defaultLocale: absent(code),
});
