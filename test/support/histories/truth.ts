import type {
  Charge,
  CheckoutSession,
  Customer,
  Dispute,
  Invoice,
  InvoicePayment,
  PaymentIntent,
  PaymentMethod,
  PaymentRecord,
  Price,
  Product,
  Refund,
  Subscription,
} from "../../../scripts/local/stripe/core/wire.ts";
import type { StripeObject } from "../stripe/events.ts";
import type { Account } from "./account.ts";

/** A table row as `to_jsonb` shows it in UTC. */
export type Row = Record<string, unknown>;

/** A row that must be there, and the Stripe objects whose events tell it. A column that is undefined is not known. */
export interface ExpectedRow {
  table: string;
  row: Row;
  toldBy: string[];
}

/**
 * The rows that must be there for an account's objects, computed from the objects and not from events: a second
 * implementation of the contract, with which the database is compared.
 */
export function truthOf(account: Account): ExpectedRow[] {
  const expected: ExpectedRow[] = [];
  for (const [id, object] of account.objects) {
    if (!account.lastTold.has(id) && !account.deletedAt.has(id)) continue;
    const deletedAt = time(account.deletedAt.get(id));
    const add = (table: string, row: Row, ...toldBy: string[]) =>
      expected.push(...seenByUsers({ table, row, toldBy: [id, ...toldBy] }));
    switch (object.object) {
      case "customer":
        add("customers", {
          ...customerRow(object as unknown as Customer),
          owner_id: userOf(account, id),
          deleted_at: deletedAt,
        });
        break;
      case "product":
        add("products", productRow(object as unknown as Product, deletedAt));
        break;
      case "price":
        add("prices", priceRow(object as unknown as Price, deletedAt));
        break;
      case "subscription": {
        const subscription = object as unknown as Subscription;
        add("subscriptions", subscriptionRow(subscription));
        for (const item of subscription.items.data)
          add("subscription_items", itemRow(item, subscription.customer));
        break;
      }
      case "invoice":
        add("invoices", {
          ...invoiceRow(object as unknown as Invoice),
          first_payment_failed_at: firstTold(account, "invoice.payment_failed", id),
          deleted_at: deletedAt,
        });
        break;
      case "invoice_payment":
        add("invoice_payments", invoicePaymentRow(object as unknown as InvoicePayment));
        break;
      case "payment_intent": {
        const charges = chargesOf(account, id);
        add(
          "payments",
          intentRow(account, object as unknown as PaymentIntent, charges),
          ...charges.map((one) => one.id),
          ...contestsOf(account, id).map((one) => one.id),
        );
        const { last_payment_error: error } = object as unknown as PaymentIntent;
        if (error) {
          const { decline_code: failure_code, message: failure_message } = error;
          add("payment_failures", { payment_id: id, failure_code, failure_message });
        }
        break;
      }
      case "charge":
        if (object.payment_intent === null)
          add(
            "payments",
            chargeRow(account, object as unknown as Charge),
            ...contestsOf(account, id).map((one) => one.id),
          );
        break;
      case "payment_record":
        // A charge of a PaymentIntent is not a payment of its own.
        if (!intentOf(account, id)) add("payments", recordRow(account, object as unknown as PaymentRecord));
        break;
      case "refund":
        add("refunds", refundRow(object as unknown as Refund));
        break;
      case "dispute":
        add("disputes", disputeRow(account, object as unknown as Dispute));
        break;
      case "payment_method":
        add("payment_methods", methodRow(account, object as unknown as PaymentMethod));
        break;
      case "checkout.session":
        add("checkout_sessions", sessionRow(account, object as unknown as CheckoutSession));
    }
  }
  return expected;
}

/** The codes in the histories that a payer may see. All others are shown as generic_decline. */
const TOLD_CODES = ["insufficient_funds", "expired_card"];

/** Keys of metadata that users may read by the histories' settings. */
export const VISIBLE_METADATA = ["note", "po"];

const METADATA_IS_KEPT_APART = [
  "customers",
  "subscriptions",
  "subscription_items",
  "invoices",
  "payments",
  "payment_methods",
];

/** Tables that users read have only the metadata that they may see. All of it is in object_metadata. */
function seenByUsers(expected: ExpectedRow): ExpectedRow[] {
  const { table, row, toldBy } = expected;
  if (!METADATA_IS_KEPT_APART.includes(table)) return [expected];
  const all = (row.metadata ?? {}) as Record<string, unknown>;
  const metadata = Object.fromEntries(Object.entries(all).filter(([key]) => VISIBLE_METADATA.includes(key)));
  const shown = { ...expected, row: { ...row, metadata } };
  if (Object.keys(all).length === 0) return [shown];
  return [shown, { table: "object_metadata", row: { object_id: row.id, metadata: all }, toldBy }];
}

export function time(seconds: number | null | undefined): string | null {
  return typeof seconds === "number"
    ? new Date(seconds * 1000).toISOString().replace(".000Z", "+00:00")
    : null;
}

function firstTold(account: Account, type: string, id: string): string | null {
  return time(account.firstTold.get(`${type} ${id}`));
}

/**
 * The first source, in the order of the contract, whose newest value names a user who signed up. Undefined where a
 * source has two values in one second: then the contract says only that it is always the same one.
 */
export function userOf(account: Account, customer: string): string | null | undefined {
  for (const source of ["checkout_session", "customer", "subscription", "client_reference"]) {
    const said = account.ownerHints.filter((hint) => hint.customer === customer && hint.source === source);
    const newest = said.filter(({ at }) => at === said.at(-1)?.at).map(({ user }) => user.toLowerCase());
    if (new Set(newest).size > 1) return undefined;
    if (newest[0] && account.users.includes(newest[0])) return newest[0];
  }
  return null;
}

function customerRow(c: Customer): Row {
  return {
    id: c.id,
    email: c.email,
    name: c.name,
    preferred_locales: c.preferred_locales,
    currency: c.currency,
    balance: c.balance,
    delinquent: c.delinquent,
    default_payment_method: c.invoice_settings.default_payment_method,
    metadata: c.metadata,
    livemode: c.livemode,
    created: time(c.created),
  };
}

function productRow(p: Product, deletedAt: string | null): Row {
  return {
    id: p.id,
    name: p.name,
    description: p.description,
    active: p.active && deletedAt === null,
    default_price: p.default_price,
    metadata: p.metadata,
    livemode: p.livemode,
    created: time(p.created),
    updated: time(p.updated),
    deleted_at: deletedAt,
  };
}

function priceRow(p: Price, deletedAt: string | null): Row {
  return {
    id: p.id,
    product: p.product,
    active: p.active && deletedAt === null,
    currency: p.currency,
    unit_amount: p.unit_amount,
    unit_amount_decimal: p.unit_amount,
    type: p.type,
    billing_scheme: p.billing_scheme,
    nickname: p.nickname,
    lookup_key: p.lookup_key,
    tax_behavior: p.tax_behavior,
    metadata: p.metadata,
    livemode: p.livemode,
    created: time(p.created),
    deleted_at: deletedAt,
  };
}

function subscriptionRow(s: Subscription): Row {
  return {
    id: s.id,
    customer: s.customer,
    status: s.status,
    currency: s.currency,
    collection_method: s.collection_method,
    current_period_start: time(s.items.data[0]?.current_period_start),
    current_period_end: time(s.items.data[0]?.current_period_end),
    trial_start: time(s.trial_start),
    trial_end: time(s.trial_end),
    cancel_at: time(s.cancel_at),
    cancel_at_period_end: s.cancel_at_period_end,
    canceled_at: time(s.canceled_at),
    cancellation_details: s.cancellation_details,
    ended_at: time(s.ended_at),
    start_date: time(s.start_date),
    billing_cycle_anchor: time(s.billing_cycle_anchor),
    days_until_due: s.days_until_due,
    default_payment_method: s.default_payment_method,
    latest_invoice: s.latest_invoice,
    pause_collection: s.pause_collection,
    pending_update: s.pending_update,
    status_details: s.status_details,
    metadata: s.metadata,
    livemode: s.livemode,
    created: time(s.created),
  };
}

function itemRow(item: Subscription["items"]["data"][number], customer: Subscription["customer"]): Row {
  return {
    id: item.id,
    subscription: item.subscription,
    customer,
    price: item.price.id,
    product: item.price.product,
    quantity: item.quantity,
    current_period_start: time(item.current_period_start),
    current_period_end: time(item.current_period_end),
    metadata: item.metadata,
    created: time(item.created),
  };
}

function invoiceRow(i: Invoice): Row {
  return {
    id: i.id,
    customer: i.customer,
    subscription: i.parent?.subscription_details?.subscription ?? null,
    number: i.number,
    status: i.status,
    collection_method: i.collection_method,
    billing_reason: i.billing_reason,
    currency: i.currency,
    subtotal: i.subtotal,
    discount: 0,
    tax: (i.total_taxes ?? []).reduce((sum, { amount }) => sum + amount, 0),
    total: i.total,
    amount_due: i.amount_due,
    amount_paid: i.amount_paid,
    amount_remaining: i.amount_remaining,
    attempt_count: i.attempt_count,
    attempted: i.attempted,
    auto_advance: i.auto_advance,
    next_payment_attempt: time(i.next_payment_attempt),
    due_date: time(i.due_date),
    period_start: time(i.period_start),
    period_end: time(i.period_end),
    finalized_at: time(i.status_transitions.finalized_at),
    paid_at: time(i.status_transitions.paid_at),
    voided_at: time(i.status_transitions.voided_at),
    marked_uncollectible_at: time(i.status_transitions.marked_uncollectible_at),
    default_payment_method: i.default_payment_method,
    hosted_invoice_url: i.hosted_invoice_url,
    invoice_pdf: i.invoice_pdf,
    metadata: i.metadata,
    livemode: i.livemode,
    created: time(i.created),
  };
}

function invoicePaymentRow(p: InvoicePayment): Row {
  return {
    id: p.id,
    invoice: p.invoice,
    payment_intent: p.payment.payment_intent ?? null,
    charge: p.payment.charge ?? null,
    payment_record: p.payment.payment_record ?? null,
    amount_paid: p.amount_paid,
    amount_requested: p.amount_requested,
    currency: p.currency,
    status: p.status,
    is_default: p.is_default,
    paid_at: time(p.status_transitions.paid_at),
    livemode: p.livemode,
    created: time(p.created),
  };
}

/** Charges of a PaymentIntent, oldest first. */
function chargesOf(account: Account, intent: string): Charge[] {
  return [...account.objects.values()]
    .filter((object: StripeObject) => object.object === "charge" && object.payment_intent === intent)
    .map((object) => object as unknown as Charge);
}

/** Refunds and disputes of a payment. */
function contestsOf(account: Account, payment: string): (Refund | Dispute)[] {
  return [...account.objects.values()]
    .filter(({ object }) => object === "refund" || object === "dispute")
    .map((object) => object as unknown as Refund | Dispute)
    .filter((one) => (one.payment_intent ?? one.charge) === payment);
}

/** The sum of a dispute's balance transactions. */
function moneyAway({ balance_transactions: moved, status }: Dispute): Record<"disputed" | "lost", number> {
  const away = moved.reduce((total, { amount }) => total - amount, 0);
  const isLost = ["lost", "prevented", "appeal_needs_response", "appeal_under_review"].includes(status);
  return { disputed: isLost ? 0 : away, lost: isLost ? away : 0 };
}

/** What a payment brought, what was taken back, and the outcome's name. */
function amountsOf(account: Account, id: string, received: number, status: string): Row {
  const contests = contestsOf(account, id);
  const sum = (kind: string, ...statuses: string[]) =>
    contests
      .filter((one) => one.object === kind && statuses.includes(String(one.status)))
      .reduce((total, { amount }) => total + amount, 0);
  const refunded = Math.min(sum("refund", "pending", "requires_action", "succeeded"), received);
  const away = contests.flatMap((one) => (one.object === "dispute" ? [moneyAway(one as Dispute)] : []));
  const disputed = away.reduce((total, one) => total + one.disputed, 0);
  const lost = away.reduce((total, one) => total + one.lost, 0);
  let outcome = status === "canceled" || status === "failed" ? status : "pending";
  if (received > 0) outcome = "paid";
  if (refunded > 0) outcome = refunded === received ? "refunded" : "partially_refunded";
  if (lost > 0) outcome = "lost";
  if (disputed > 0) outcome = "disputed";
  return {
    amount_received: received,
    amount_refunded: refunded,
    amount_disputed: disputed,
    amount_lost: lost,
    outcome,
  };
}

function intentRow(account: Account, intent: PaymentIntent, charges: Charge[]): Row {
  const paid = charges.find(({ status }) => status === "succeeded");
  const best = paid ?? charges.at(-1);
  // Of two charges that failed in the same second, only the ids tell which was the last one.
  const isClear = paid || charges.at(-2)?.created !== best?.created;
  const error = intent.last_payment_error;
  const invoice =
    account.toldInvoiceOf.get(intent.id) ?? account.toldInvoiceOf.get(String(intent.payment_record));
  const isCard = best?.payment_method_details?.type === "card";
  return {
    id: intent.id,
    customer: intent.customer,
    invoice_id: invoice ?? null,
    is_one_time: invoice === undefined,
    amount: intent.amount,
    ...amountsOf(account, intent.id, intent.amount_received, intent.status),
    paid_at: intent.amount_received > 0 ? time(paid?.created) : null,
    currency: intent.currency,
    status: intent.status,
    ...(isClear
      ? {
          payment_method: intent.payment_method ?? best?.payment_method ?? null,
          latest_charge: best?.id ?? null,
          payment_method_type: best?.payment_method_details?.type ?? null,
          card_brand: isCard ? "visa" : null,
          card_last4: isCard ? "4242" : null,
        }
      : {}),
    failure_code:
      error?.decline_code === undefined
        ? null
        : (TOLD_CODES.find((code) => code === error.decline_code) ?? "generic_decline"),
    receipt_url: best?.receipt_url ?? null,
    description: intent.description,
    metadata: intent.metadata,
    livemode: intent.livemode,
    created: time(intent.created),
    canceled_at: time(intent.canceled_at),
  };
}

function chargeRow(account: Account, charge: Charge): Row {
  return {
    id: charge.id,
    customer: charge.customer,
    invoice_id: account.toldInvoiceOf.get(charge.id) ?? null,
    is_one_time: !account.toldInvoiceOf.has(charge.id),
    amount: charge.amount,
    ...amountsOf(account, charge.id, charge.amount_captured, charge.status),
    paid_at: time(charge.created),
    currency: charge.currency,
    status: charge.status,
    payment_method: charge.payment_method,
    latest_charge: charge.id,
    payment_method_type: "card",
    card_brand: "visa",
    card_last4: "4242",
    failure_code: null,
    receipt_url: charge.receipt_url,
    description: charge.description,
    metadata: charge.metadata,
    livemode: charge.livemode,
    created: time(charge.created),
    canceled_at: null,
  };
}

/** The PaymentIntent of a payment record, if it has one. */
function intentOf(account: Account, record: string): string | undefined {
  return [...account.objects.values()].find(
    (object) => object.object === "payment_intent" && object.payment_record === record,
  )?.id;
}

/** Money that was paid outside Stripe, as its record tells it. */
function recordRow(account: Account, record: PaymentRecord): Row {
  const paidFor = [...account.objects.values()]
    .filter(({ object }) => object === "invoice_payment")
    .map((object) => object as unknown as InvoicePayment)
    .find(({ payment }) => payment.payment_record === record.id);
  const [received, refunded] = [record.amount_guaranteed.value, record.amount_refunded.value];
  const back = refunded < received ? "partially_refunded" : "refunded";
  return {
    id: record.id,
    customer: record.customer_details?.customer ?? null,
    invoice_id: account.toldInvoiceOf.get(record.id) ?? null,
    is_one_time: false,
    amount: record.amount_requested.value,
    amount_received: received,
    amount_refunded: refunded,
    amount_disputed: 0,
    amount_lost: 0,
    outcome: refunded > 0 ? back : "paid",
    paid_at: time(paidFor?.status_transitions.paid_at),
    currency: record.amount.currency,
    status: "succeeded",
    payment_method: null,
    payment_method_type: "custom",
    latest_charge: null,
    card_brand: null,
    card_last4: null,
    failure_code: null,
    receipt_url: null,
    description: null,
    metadata: {},
    livemode: false,
    created: time(record.created),
    canceled_at: null,
  };
}

function refundRow(r: Refund): Row {
  return {
    id: r.id,
    payment_id: r.payment_intent ?? r.charge,
    payment_intent: r.payment_intent,
    charge: r.charge,
    amount: r.amount,
    currency: r.currency,
    status: r.status,
    reason: r.reason,
    failure_reason: r.failure_reason ?? null,
    receipt_number: r.receipt_number,
    metadata: r.metadata,
    created: time(r.created),
  };
}

function disputeRow(account: Account, d: Dispute): Row {
  return {
    id: d.id,
    payment_id: d.payment_intent ?? d.charge,
    payment_intent: d.payment_intent,
    charge: d.charge,
    amount: d.amount,
    currency: d.currency,
    status: d.status,
    reason: d.reason,
    is_charge_refundable: d.is_charge_refundable,
    due_by: time(d.evidence_details.due_by),
    has_evidence: d.evidence_details.has_evidence,
    metadata: d.metadata,
    livemode: d.livemode,
    created: time(d.created),
    funds_withdrawn_at: firstTold(account, "charge.dispute.funds_withdrawn", d.id),
    funds_reinstated_at: firstTold(account, "charge.dispute.funds_reinstated", d.id),
    closed_at: firstTold(account, "charge.dispute.closed", d.id),
    amount_disputed: moneyAway(d).disputed,
    amount_lost: moneyAway(d).lost,
  };
}

function methodRow(account: Account, m: PaymentMethod): Row {
  return {
    id: m.id,
    customer: account.customerOf.get(m.id),
    type: m.type,
    card_brand: m.card?.brand ?? null,
    card_last4: m.card?.last4 ?? null,
    card_exp_month: m.card?.exp_month ?? null,
    card_exp_year: m.card?.exp_year ?? null,
    card_funding: m.card?.funding ?? null,
    card_country: m.card?.country ?? null,
    metadata: m.metadata,
    livemode: m.livemode,
    created: time(m.created),
    detached_at: firstTold(account, "payment_method.detached", m.id),
  };
}

function sessionRow(account: Account, s: CheckoutSession): Row {
  return {
    id: s.id,
    mode: s.mode,
    status: s.status,
    payment_status: s.payment_status,
    customer: s.customer,
    subscription: s.subscription,
    payment_intent: s.payment_intent,
    setup_intent: s.setup_intent,
    invoice: s.invoice,
    amount_subtotal: s.amount_subtotal,
    amount_total: s.amount_total,
    currency: s.currency,
    client_reference_id: s.client_reference_id,
    payment_link: s.payment_link,
    recovery_url: s.after_expiration?.recovery?.url ?? null,
    recovered_from: s.recovered_from,
    metadata: s.metadata,
    livemode: s.livemode,
    created: time(s.created),
    expires_at: time(s.expires_at),
    completed_at: firstTold(account, "checkout.session.completed", s.id),
    expired_at: firstTold(account, "checkout.session.expired", s.id),
    is_abandoned: s.status === "expired",
  };
}
