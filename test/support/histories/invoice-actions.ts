import type {
  Customer,
  Invoice,
  PaymentIntent,
  Subscription,
} from "../../../scripts/local/stripe/core/wire.ts";
import { NEWEST } from "../old-shapes.ts";
import { invoice, invoicePayment, paymentRecord } from "../stripe/invoices.ts";
import type { Account } from "./account.ts";
import { openDispute } from "./dispute-actions.ts";
import { failAttempt, refund, requireAction, startPayment, succeed } from "./payment-actions.ts";

/** A draft invoice of a subscription, or a one-time one. */
export function draftInvoice(
  account: Account,
  customer: string,
  subscriptionId?: string,
  billing_reason: Invoice["billing_reason"] = subscriptionId ? "subscription_cycle" : "manual",
): string {
  const { random } = account;
  const id = account.id("in");
  const billed = subscriptionId ? account.get<Subscription>(subscriptionId) : undefined;
  const isTrial = billed?.status === "trialing";
  account.create(
    invoice({
      id,
      created: account.now,
      customer,
      subscription: subscriptionId,
      billing_reason,
      items: isTrial ? [] : billed?.items.data,
      tax: random.chance(0.3) ? random.int(1, 900) : 0,
      collection_method: billed?.collection_method ?? random.pick(["charge_automatically", "send_invoice"]),
      ...(billed ? {} : { subtotal: 5000, total: 5000, amount_due: 5000, amount_remaining: 5000 }),
    }),
    "invoice.created",
  );
  if (billed) account.change(billed.id, { latest_invoice: id }, "customer.subscription.updated");
  return id;
}

/** A renewal is near. Its upcoming invoice has no id yet. */
export function announceRenewal(account: Account, subscriptionId: string): void {
  const billed = account.get<Subscription>(subscriptionId);
  account.announce(
    "invoice.upcoming",
    invoice({
      id: "in_none",
      created: account.now,
      customer: billed.customer,
      subscription: subscriptionId,
      items: billed.items.data,
      billing_reason: "upcoming",
      next_payment_attempt: account.now + 7 * 86_400,
    }),
  );
}

/** What may happen to an invoice next, by its status. */
export function changeInvoice(account: Account, id: string): void {
  const { random } = account;
  const now = account.get<Invoice>(id);
  const actions = account.deletedAt.has(id) ? [] : actionsOf[String(now.status)];
  if (actions && actions.length > 0) random.pick(actions)(account, id);
}

const actionsOf: Record<string, ((account: Account, id: string) => void)[]> = {
  draft: [editInvoice, finalize, finalize, finalize, deleteDraft],
  open: [
    pay,
    pay,
    payPastStripe,
    payPastStripe,
    creditPart,
    creditPart,
    fail,
    fail,
    fail,
    fail,
    remind,
    editInvoice,
    writeOff,
    makeVoid,
    closeWithoutMoney,
  ],
  uncollectible: [pay, makeVoid, editInvoice],
  paid: [editInvoice, refundInvoice],
};

function editInvoice(account: Account, id: string): void {
  const { random } = account;
  const { metadata } = account.get<Invoice>(id);
  const edits: (() => void)[] = [
    () => account.change(id, { metadata: { ...metadata, po: random.token(4) } }, "invoice.updated"),
    () =>
      account.change(id, { auto_advance: random.chance(0.5), description: "Thank you" }, "invoice.updated"),
    () => account.flip(id, { metadata: { ...metadata, tried: "1" } }, "invoice.updated"),
  ];
  random.pick(edits)();
}

function transitions(account: Account, id: string, patch: Partial<Invoice["status_transitions"]>) {
  return { ...account.get<Invoice>(id).status_transitions, ...patch };
}

export function finalize(account: Account, id: string): void {
  const { now, random } = account;
  applyBalance(account, id);
  const draft = account.get<Invoice>(id);
  const isSent = draft.collection_method === "send_invoice";
  if (draft.amount_due > 0 && !isSent) {
    const payment = {
      amount: draft.amount_due,
      customer: draft.customer,
      invoice: id,
      description: "Subscription",
    };
    startPayment(account, payment);
  }
  account.change(
    id,
    {
      status: "open",
      number: `EX-${random.int(1000, 9999)}`,
      hosted_invoice_url: `https://invoice.example.com/i/${id}`,
      invoice_pdf: `https://invoice.example.com/i/${id}/pdf`,
      effective_at: now,
      due_date: isSent ? now + 14 * 86_400 : null,
      status_transitions: transitions(account, id, { finalized_at: now }),
    },
    "invoice.updated",
    "invoice.finalized",
    ...(isSent ? ["invoice.sent"] : []),
  );
  if (draft.amount_due === 0) markPaid(account, id);
}

/**
 * Applies the customer's balance when Stripe finalizes an invoice: a credit lowers what is due, a debt raises it. The
 * rest of a credit stays with the customer.
 */
function applyBalance(account: Account, id: string): void {
  const bill = account.get<Invoice>(id);
  const [customer, total] = [String(bill.customer), bill.total];
  const { balance } = account.get<Customer>(customer);
  if (balance === 0 || total === 0 || account.deletedAt.has(customer)) return;
  const due = Math.max(total + balance, 0);
  const left = Math.min(total + balance, 0);
  account.change(customer, { balance: left }, "customer.updated");
  account.changeUnseen(id, {
    amount_due: due,
    amount_remaining: due,
    starting_balance: balance,
    ending_balance: left,
  });
}

/** A credit note before payment lowers what is due; what is left is paid in money. */
function creditPart(account: Account, id: string): void {
  const { random } = account;
  const open = account.get<Invoice>(id);
  const credited = Math.ceil(open.amount_remaining / 3);
  if (credited >= open.amount_remaining) return;
  account.change(
    id,
    {
      amount_due: open.amount_due - credited,
      amount_remaining: open.amount_remaining - credited,
      pre_payment_credit_notes_amount: open.pre_payment_credit_notes_amount + credited,
    },
    "invoice.updated",
  );
  if (random.chance(0.7)) {
    account.pass();
    pay(account, id);
  }
}

/** The invoice becomes paid, with the events Stripe sends for it in one second. */
function markPaid(account: Account, id: string): void {
  const open = account.get<Invoice>(id);
  account.change(
    id,
    {
      status: "paid",
      amount_paid: open.amount_due,
      amount_remaining: 0,
      attempted: true,
      attempt_count: open.attempt_count + (open.amount_due > 0 ? 1 : 0),
      auto_advance: false,
      next_payment_attempt: null,
      status_transitions: transitions(account, id, { paid_at: account.now }),
    },
    "invoice.updated",
    ...account.random.shuffled(["invoice.paid", "invoice.payment_succeeded"]),
  );
}

function subscriptionOf(account: Account, id: string): Subscription | undefined {
  const subscription = account.get<Invoice>(id).parent?.subscription_details?.subscription;
  return subscription ? account.get<Subscription>(subscription) : undefined;
}

export function pay(account: Account, id: string): void {
  const open = account.get<Invoice>(id);
  const intent =
    account.paymentOf(id)?.payment_intent ??
    startPayment(account, { amount: open.amount_due, customer: open.customer, invoice: id });
  // A credit note has lowered the amount. Stripe reports that with the next event.
  account.changeUnseen(intent, { amount: open.amount_due });
  const paidBy = succeed(account, intent);
  account.linkPayment(id, { payment_intent: intent, charge: paidBy });
  const paidSteps = [
    () => markPaid(account, id),
    () =>
      account.create(
        invoicePayment({
          id: account.id("inpay"),
          created: account.now,
          invoice: id,
          amount: open.amount_due,
          payment: { type: "payment_intent", payment_intent: intent },
        }),
        "invoice_payment.paid",
      ),
  ];
  for (const step of account.random.shuffled(paidSteps)) step();
  goOn(account, id);
}

/** After a payment the subscription is no longer past due. */
function goOn(account: Account, id: string): void {
  const billed = subscriptionOf(account, id);
  if (billed && ["incomplete", "past_due", "unpaid"].includes(billed.status))
    account.change(billed.id, { status: "active" }, "customer.subscription.updated");
}

/**
 * Money that was paid outside Stripe is reported as a payment record: by itself, or with a PaymentIntent, which may then
 * be disputed. No event reports the record, nor a later refund of it.
 */
function payPastStripe(account: Account, id: string): void {
  const { random } = account;
  if (account.version < "2025-03-31") {
    pay(account, id); // there are no invoice payments yet
    return;
  }
  const open = account.get<Invoice>(id);
  const isOfIntent = account.version === NEWEST && random.chance(0.4);
  const intent = account.paymentOf(id)?.payment_intent;
  const record = account.id("pr");
  account.create(
    paymentRecord({
      id: record,
      created: account.now,
      amount: open.amount_due,
      currency: "eur",
      customer: String(open.customer),
    }),
  );
  const link = () =>
    account.create(
      invoicePayment({
        id: account.id("inpay"),
        created: account.now,
        invoice: id,
        amount: open.amount_due,
        payment: { type: "payment_record", payment_record: record },
      }),
      "invoice_payment.paid",
    );
  const steps = [() => markPaid(account, id), link];
  let charge: string | undefined;
  if (isOfIntent)
    steps.push(() => {
      const paying =
        intent ?? startPayment(account, { amount: open.amount_due, customer: open.customer, invoice: id });
      account.changeUnseen(paying, { amount: open.amount_due, payment_record: record });
      charge = succeed(account, paying);
    });
  else if (intent && !["succeeded", "canceled"].includes(account.get<PaymentIntent>(intent).status))
    account.change(
      intent,
      { status: "canceled", canceled_at: account.now, cancellation_reason: "automatic" },
      null,
      "payment_intent.canceled",
    );
  for (const step of random.shuffled(steps)) step();
  goOn(account, id);
  if (charge && random.chance(0.5)) openDispute(account, charge);
  if (!isOfIntent && random.chance(0.3)) {
    account.pass();
    const back = Math.ceil(open.amount_due / random.pick([1, 2]));
    account.changeUnseen(record, { amount_refunded: { value: back, currency: "eur" } });
  }
}

export function fail(account: Account, id: string): void {
  const { random } = account;
  const open = account.get<Invoice>(id);
  const intent = account.paymentOf(id)?.payment_intent;
  if (!intent) {
    remind(account, id);
    return;
  }
  const needsAction = random.chance(0.5);
  // Sometimes only the payment and the subscription report that the payment failed.
  const isLost = random.chance(0.2);
  if (needsAction) requireAction(account, intent);
  else failAttempt(account, intent);
  account.change(
    id,
    {
      attempt_count: open.attempt_count + 1,
      attempted: true,
      next_payment_attempt: random.chance(0.7) ? account.now + 3 * 86_400 : null,
    },
    "invoice.updated",
    ...(isLost ? [] : ["invoice.payment_failed"]),
    ...(needsAction ? ["invoice.payment_action_required"] : []),
  );
  const billed = subscriptionOf(account, id);
  // An update that waits for its payment leaves the subscription as it is.
  if (billed && billed.status === "active" && billed.pending_update === null)
    account.change(
      billed.id,
      { status: random.pick(["past_due", "past_due", "unpaid"]) },
      "customer.subscription.updated",
    );
}

/** A credit note or the customer's balance covers all that is left: paid, without money. */
function closeWithoutMoney(account: Account, id: string): void {
  const open = account.get<Invoice>(id);
  const byNote = account.random.chance(0.5);
  account.change(
    id,
    {
      status: "paid",
      amount_due: 0,
      amount_paid: 0,
      amount_remaining: 0,
      post_payment_credit_notes_amount: 0,
      pre_payment_credit_notes_amount: byNote ? open.amount_due : 0,
      starting_balance: byNote ? 0 : -open.amount_due,
      ending_balance: 0,
      auto_advance: false,
      next_payment_attempt: null,
      status_transitions: transitions(account, id, { paid_at: account.now }),
    },
    "invoice.updated",
    ...account.random.shuffled(["invoice.paid", "invoice.payment_succeeded"]),
  );
}

function remind(account: Account, id: string): void {
  const isSent = account.get<Invoice>(id).collection_method === "send_invoice";
  account.tell(id, isSent ? account.random.pick(["invoice.sent", "invoice.overdue"]) : "invoice.sent");
}

function writeOff(account: Account, id: string): void {
  const patch = {
    status: "uncollectible",
    auto_advance: false,
    status_transitions: transitions(account, id, { marked_uncollectible_at: account.now }),
  };
  account.change(id, patch, "invoice.updated", "invoice.marked_uncollectible");
}

export function makeVoid(account: Account, id: string): void {
  const patch = {
    status: "void",
    auto_advance: false,
    amount_remaining: 0,
    status_transitions: transitions(account, id, { voided_at: account.now }),
  };
  account.change(id, patch, "invoice.updated", "invoice.voided");
}

function deleteDraft(account: Account, id: string): void {
  account.remove(id, "invoice.deleted", {}, account.random.chance(0.4));
}

function refundInvoice(account: Account, id: string): void {
  const paidBy = account.paymentOf(id)?.charge;
  if (paidBy) refund(account, paidBy);
}
