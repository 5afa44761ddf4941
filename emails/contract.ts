/**
 * What the emails are called, what each one needs to know, and what comes back. Types only: whoever enqueues
 * an email writes these shapes into the outbox as JSON, and schemas.ts checks them when they come out again.
 *
 * Optional fields may be left out or null. Unknown fields are refused, so that a misspelt one is noticed.
 */

/** An integer in the currency's minor unit, exactly as Stripe sends it. A string where it may pass 2^53. */
export type MinorUnits = number | string;

/** A moment with its time zone: ISO 8601, or the way Postgres prints a timestamptz. */
export type Timestamp = string;

/** Whose emails these are. Comes from `billing.settings`; every template receives it. */
export interface Brand {
  appName: string;
  /** The application's front page. */
  appUrl: string;
  /** Where a signed-in customer manages their plan and payment method. Without it, links lead to `appUrl`. */
  billingUrl?: string | null;
  /** A PNG of about 240 × 64 pixels. Without it, or where images are off, the name is shown as text. */
  logoUrl?: string | null;
  /** Six-digit hex, for buttons and links. Text on it is chosen to be readable; anything else is ignored. */
  color?: string | null;
  supportEmail?: string | null;
  /** Shown at the foot of every email; lines are kept. */
  postalAddress?: string | null;
  /** IANA name in which dates are given; UTC without it. */
  timeZone?: string | null;
  /** BCP 47: for whoever speaks no language of ours, and the region of whoever names none. "en" without it. */
  defaultLocale?: string | null;
}

/** Stripe's payment method, as little of it as a person needs to recognise it. */
export interface PaymentMethod {
  /** Stripe's `type`: card, sepa_debit, us_bank_account, link, paypal, … */
  type: string;
  /** What the operator calls it, of a way to pay past Stripe: Cash, Bank transfer. */
  name?: string | null;
  /** Stripe's `card.brand`: visa, mastercard, amex, … */
  brand?: string | null;
  last4?: string | null;
}

/** What will be charged per interval, discounts taken off. */
export interface Price {
  amount: MinorUnits;
  currency: string;
  interval: "day" | "week" | "month" | "year";
  intervalCount: number;
  /** Tax comes on top. */
  plusTax?: boolean | null;
}

/** Stripe's address, each part on one line. */
export interface Address {
  line1?: string | null;
  line2?: string | null;
  city?: string | null;
  postalCode?: string | null;
  state?: string | null;
  /** ISO 3166-1, two letters. */
  country?: string | null;
}

/** Whom an invoice bills, or who sells, as far as the invoice tells. */
export interface Party {
  name?: string | null;
  address?: Address | null;
  /** `type` is Stripe's: eu_vat, ch_vat, us_ein, … */
  taxIds?: { type: string; value: string }[] | null;
}

/** What is said of the two sides of a paid invoice. */
interface BetweenParties {
  billedTo?: Party | null;
  soldBy?: Party | null;
}

interface ToCustomer {
  customerName?: string | null;
}

interface AboutProduct extends ToCustomer {
  /** The product's name. Without it the application's name is used. */
  productName?: string | null;
}

export interface TrialEndingProps extends AboutProduct {
  trialEnd: Timestamp;
  /** Whole days until then, at the time of sending. */
  daysLeft: number;
  /** Null where no single amount can be named (metered, tiered). */
  price?: Price | null;
  /** Null: the customer has none, and is asked for one. */
  paymentMethod?: PaymentMethod | null;
  /** The subscription is already set to end with the trial: nothing will be charged. */
  leaving: boolean;
}

export interface TrialEndedWithoutCardProps extends AboutProduct {
  trialEnd: Timestamp;
  /** What Stripe's `trial_settings.end_behavior.missing_payment_method` did. */
  outcome: "canceled" | "paused";
  price?: Price | null;
}

/** An invoice that should have been paid. All invoices of one email share its currency. */
export interface OverdueInvoice {
  productName?: string | null;
  /** Stripe's `invoice.number`. */
  invoiceNumber?: string | null;
  amountDue: MinorUnits;
  /** First failed attempt for automatic collection, due date for `send_invoice`. */
  overdueSince: Timestamp;
  hostedInvoiceUrl?: string | null;
  /** Decides between “the payment failed” and “the invoice is overdue”. Automatic without it. */
  collectionMethod?: "charge_automatically" | "send_invoice" | null;
  /** Tells which invoices are of one subscription; null where there is none, or none any more. Never shown. */
  subscription?: string | null;
  /** What happens if it stays unpaid. Without them what the email says of all its invoices. */
  terms?: DebtTerms | null;
}

/** What happens if a debt stays unpaid; see the fields of the same meaning in PaymentFailedProps. */
export interface DebtTerms {
  /** Null: nothing is taken away. */
  endsAt?: Timestamp | null;
  action?: "cancel" | "pause" | null;
  setToEndAt?: Timestamp | null;
  leaving: boolean;
}

/** Shared by the three failure emails, which say the same facts in different words. */
export interface PaymentFailedProps extends ToCustomer {
  currency: string;
  /** At least one, the oldest first; one email may cover everything a customer owes in a currency. 20 are shown, the rest are counted. */
  invoices: OverdueInvoice[];
  /** How many are overdue, where `invoices` is not all of them. */
  invoiceCount?: number | null;
  /** What all of them come to, where `invoices` is not all of them. */
  totalDue?: MinorUnits | null;
  paymentMethod?: PaymentMethod | null;
  /** Stripe's `decline_code`. Only those a customer can act on are explained; the rest stay unsaid. */
  declineCode?: string | null;
  /** The card the customer gave since, where charging it was declined too. */
  newCardDeclined?: PaymentMethod | null;
  /** Only when Stripe has one scheduled. */
  nextPaymentAttempt?: Timestamp | null;
  /**
   * When something is taken away, at the earliest (what happens to each debt is in its `terms`): 12:00 UTC of the end’s day. Emails name that day in UTC as the end,
   * and the UTC day before it as the last to pay, which is then over everywhere. Null: nothing will be.
   */
  accessEndsAt?: Timestamp | null;
  /** Whole days (UTC) until the day of `accessEndsAt`, at the time of writing. */
  daysLeft?: number | null;
  /** When the subscription was to end by itself anyway, where that is later than `accessEndsAt`. */
  setToEndAt?: Timestamp | null;
  /** What happens on that day. */
  endAction?: "cancel" | "pause" | null;
  /** Everything keeps working until then. Say so only where it is true. */
  accessContinues?: boolean | null;
  /** The customer has canceled for a day before anything would be taken away: no word of losing access, whatever `accessEndsAt` says. */
  leaving: boolean;
}

export interface PaymentActionRequiredProps extends AboutProduct {
  amountDue: MinorUnits;
  currency: string;
  invoiceNumber?: string | null;
  paymentMethod?: PaymentMethod | null;
  /** Where Stripe lets the customer confirm. Without it the button leads to the billing page. */
  hostedInvoiceUrl?: string | null;
}

export interface PaymentRecoveredProps extends AboutProduct, BetweenParties {
  amountPaid: MinorUnits;
  currency: string;
  paidAt: Timestamp;
  invoiceNumber?: string | null;
  paymentMethod?: PaymentMethod | null;
  hostedInvoiceUrl?: string | null;
  invoicePdf?: string | null;
  /** What a receipt has of the invoice, as this email is its receipt too; null where that is not known. */
  bill?: Omit<Bill, "currency" | "amountPaid"> | null;
  /** The customer has canceled already: not told that the subscription goes on. */
  leaving: boolean;
  /** Nothing is overdue any more, in any currency. Nothing is said of that without it. */
  nothingOverdue?: boolean | null;
  /** What is still to be paid, the oldest first: other subscriptions, other currencies, what one that has ended left. */
  stillOwed?: StillOwed[] | null;
  /** How many more there are than `stillOwed` lists. */
  moreOwed?: number | null;
}

/** An invoice that is overdue beside the one an email is about. */
export interface StillOwed {
  productName?: string | null;
  invoiceNumber?: string | null;
  amountDue: MinorUnits;
  currency: string;
  overdueSince: Timestamp;
  hostedInvoiceUrl?: string | null;
}

export interface SubscriptionCanceledProps extends AboutProduct {
  /**
   * at_period_end: it still runs until `endsAt`. The others: it ended at `endsAt`, because it was canceled, because
   * dunning came to its end, because Stripe's own retries did, because the bank took a payment back, or because its
   * fixed term was over.
   */
  reason: "requested" | "at_period_end" | "nonpayment" | "payment_failed" | "payment_disputed" | "term_ended";
  endsAt: Timestamp;
  /** An invoice that stays payable after the end, or is overdue before it; null where nothing is owed. */
  openInvoice?: { amountDue: MinorUnits; currency: string; hostedInvoiceUrl?: string | null } | null;
  /** What dunning does before `endsAt` if `openInvoice` stays unpaid, at 12:00 UTC of a day; null where nothing. */
  unlessPaid?: { action: "cancel" | "pause"; at: Timestamp } | null;
}

export interface SubscriptionPausedProps extends AboutProduct {
  /** other: nobody says why, and the email does not guess. */
  reason: "requested" | "nonpayment" | "other";
  pausedAt: Timestamp;
  /** nonpayment: what has to be paid for it to go on by itself; null where nothing is asked for any more. */
  unpaid?: {
    amount: MinorUnits;
    currency: string;
    /** How many invoices; 1 or more. */
    count: number;
    /** Where the one invoice is paid. */
    hostedInvoiceUrl?: string | null;
  } | null;
}

export interface SubscriptionResumedProps extends AboutProduct {
  resumedAt: Timestamp;
  nextPaymentAt?: Timestamp | null;
  price?: Price | null;
  paymentMethod?: PaymentMethod | null;
}

export interface ReceiptLine {
  /** Null: neither Stripe nor its product has a name for it. */
  description?: string | null;
  /** Said behind the description, unless that says it already, as Stripe's own descriptions do. */
  quantity?: number | null;
  /** Before discounts and exclusive tax, as Stripe's invoice line has it; negative for a credit. */
  amount: MinorUnits;
  periodStart?: Timestamp | null;
  periodEnd?: Timestamp | null;
}

/** What was paid for, and how it comes to what was paid. */
export interface Bill {
  currency: string;
  /** The first 20 are shown; the rest are counted and left to the invoice. */
  lines: ReceiptLine[];
  /** How many lines the invoice has, where `lines` is not all of them. */
  lineCount?: number | null;
  /** There are more lines than `lines`, and how many is not known. */
  moreLines?: boolean | null;
  /** Positive amounts, those of single items too; they are shown as deductions. */
  discounts?: { label?: string | null; amount: MinorUnits }[] | null;
  /** Before its tax. */
  shipping?: MinorUnits | null;
  /** `inclusive` taxes are contained in the amounts above and not added. `rate` is in percent: 7.5. */
  taxes?:
    | { label?: string | null; rate?: number | null; amount: MinorUnits; inclusive?: boolean | null }[]
    | null;
  /** Credits for usage that Stripe took off before tax, positive. */
  billingCredits?: MinorUnits | null;
  total: MinorUnits;
  /** Credit notes issued before the payment, positive. */
  creditNotes?: MinorUnits | null;
  /** Customer balance before and after the invoice: positive where the customer owes, negative where they have credit. */
  balanceBefore?: MinorUnits | null;
  balanceAfter?: MinorUnits | null;
  amountPaid: MinorUnits;
}

export interface PaymentReceiptProps extends AboutProduct, BetweenParties, Bill {
  invoiceNumber?: string | null;
  paidAt: Timestamp;
  paymentMethod?: PaymentMethod | null;
  hostedInvoiceUrl?: string | null;
  invoicePdf?: string | null;
}

export interface RefundIssuedProps extends AboutProduct {
  refundAmount: MinorUnits;
  currency: string;
  /** full: the whole payment is returned. */
  scope: "full" | "partial";
  /** What was paid, for a partial refund. */
  paymentAmount?: MinorUnits | null;
  issuedAt: Timestamp;
  invoiceNumber?: string | null;
  paymentMethod?: PaymentMethod | null;
  /** Stripe's hosted invoice, or `charge.receipt_url`. */
  receiptUrl?: string | null;
}

export interface RefundFailedProps extends AboutProduct {
  refundAmount: MinorUnits;
  currency: string;
  /** failed: the bank sent the money back. canceled: we did not go through with it. */
  outcome: "failed" | "canceled";
  paymentAmount?: MinorUnits | null;
  /** When the refund was made that has come to nothing. */
  issuedAt: Timestamp;
  invoiceNumber?: string | null;
  paymentMethod?: PaymentMethod | null;
  /** Stripe's hosted invoice, or `charge.receipt_url`. */
  receiptUrl?: string | null;
}

export interface CardExpiringProps extends AboutProduct {
  paymentMethod: PaymentMethod;
  /** 1 to 12. */
  expMonth: number;
  /** Four digits. */
  expYear: number;
  nextPaymentAt?: Timestamp | null;
}

export interface RenewalAheadProps extends AboutProduct {
  renewsAt: Timestamp;
  /** Null where no single amount can be named. */
  price?: Price | null;
  /** send_invoice: an invoice follows, and nothing is charged. Automatic without it. */
  collectionMethod?: "charge_automatically" | "send_invoice" | null;
  /** Null where nothing is sent: the customer has none, and is asked for one. */
  paymentMethod?: PaymentMethod | null;
}

/** One item of a plan. */
export interface PlanLine {
  /** The product's name; the application's is used without it. */
  name?: string | null;
  /** Null where it is metered. */
  quantity?: number | null;
}

export interface PlanChangedProps extends ToCustomer {
  changedAt: Timestamp;
  before: PlanLine[];
  after: PlanLine[];
  /** Null where no single amount can be named. */
  priceBefore?: Price | null;
  priceAfter?: Price | null;
  /** What was charged for the change; 0 where its invoice came to nothing. Null: not known, or nothing yet. */
  charged?: { amount: MinorUnits; currency: string } | null;
  nextPaymentAt?: Timestamp | null;
  /** With the change a cancellation for that day was taken back. */
  noLongerEndsAt?: Timestamp | null;
}

export interface CancellationUndoneProps extends AboutProduct {
  /** The day it was to end on, as the customer was told. */
  wasToEndAt: Timestamp;
  nextPaymentAt?: Timestamp | null;
  price?: Price | null;
  paymentMethod?: PaymentMethod | null;
}

export interface PaymentMethodRemovedProps extends AboutProduct {
  /** Of the subscription that is charged next. */
  nextPaymentAt: Timestamp;
  /** Null where no single amount can be named. */
  price?: Price | null;
  /** What was removed; null where it is not known what it was. */
  removed?: PaymentMethod | null;
}

/** To the operator, not to a customer; it goes the way of alerts. */
export interface DisputeOpenedProps {
  /** inquiry: the bank asks, and takes no money yet. */
  kind: "dispute" | "inquiry";
  amount: MinorUnits;
  currency: string;
  /** Stripe's `reason`: fraudulent, product_not_received, … */
  disputeReason?: string | null;
  /** Until when Stripe takes evidence, where it waits for some. */
  answerBy?: Timestamp | null;
  disputeId: string;
  paymentId?: string | null;
  customerId?: string | null;
  /** Page of the payment in Stripe's dashboard. */
  url: string;
}

/** Every email by its name. */
export interface EmailProps {
  "trial-ending": TrialEndingProps;
  "trial-ended-without-card": TrialEndedWithoutCardProps;
  "payment-failed-notice": PaymentFailedProps;
  "payment-failed-urgent": PaymentFailedProps;
  "payment-failed-final": PaymentFailedProps;
  "payment-action-required": PaymentActionRequiredProps;
  "payment-recovered": PaymentRecoveredProps;
  "subscription-canceled": SubscriptionCanceledProps;
  "subscription-paused": SubscriptionPausedProps;
  "subscription-resumed": SubscriptionResumedProps;
  "payment-receipt": PaymentReceiptProps;
  "refund-issued": RefundIssuedProps;
  "refund-failed": RefundFailedProps;
  "card-expiring": CardExpiringProps;
  "renewal-ahead": RenewalAheadProps;
  "plan-changed": PlanChangedProps;
  "cancellation-undone": CancellationUndoneProps;
  "payment-method-removed": PaymentMethodRemovedProps;
  "dispute-opened": DisputeOpenedProps;
}

export type EmailName = keyof EmailProps;

export interface RenderOptions {
  brand: Brand;
  /** Stripe's `customer.preferred_locales`, best first. The brand's `defaultLocale` where none of them is spoken. */
  locales?: readonly string[] | null;
}

export interface RenderedEmail {
  subject: string;
  /** A whole document, doctype included. */
  html: string;
  text: string;
  /** The locale the email was written in: see `chooseLocale`. */
  locale: string;
}

/**
 * unknown_template: no email of that name. invalid_props: `field` of the props is missing or wrong.
 * invalid_brand: `field` of the brand is. All three stay wrong however often they are retried.
 */
export type EmailErrorCode = "unknown_template" | "invalid_props" | "invalid_brand";
