import { change, emit } from "../core/events.ts";
import type { Invoice, PaymentIntent, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { afterEffects, cardError, invalidRequest, type StripeError } from "../http/errors.ts";
import { confirmIntent, declinedError, type Outcome } from "../payments/confirmation.ts";
import { ownMethod } from "./customers.ts";
import { customerOfInvoice, subscriptionOf } from "./drafts.ts";
import {
  finalizeInvoice,
  markUncollectible,
  openPayment,
  payOutOfBand,
  sendInvoice,
  voidInvoice,
} from "./invoices.ts";
import { isForPendingUpdate } from "./pending.ts";
import { afterFailedAttempt } from "./standing.ts";

/** What an invoice would be charged to, in Stripe's order of preference. */
export function paymentMethodOf(world: World, invoice: Invoice): string | null {
  const subscription = subscriptionOf(world, invoice);
  const customer = invoice.customer ? world.store.get("customer", invoice.customer) : undefined;
  return (
    invoice.default_payment_method ??
    subscription?.default_payment_method ??
    subscription?.default_source ??
    customer?.invoice_settings.default_payment_method ??
    customer?.default_source ??
    null
  );
}

export interface Attempt {
  /** Stripe tries by itself: it counts, and there may be another. */
  automatic: boolean;
  paymentMethod?: string | null;
  offSession: boolean;
  /** The customer sits before the page: a question of 3-D Secure is asked, not counted as a failure. */
  present?: boolean;
}

function intentOf(world: World, invoice: Invoice): PaymentIntent | undefined {
  return world.store.get("payment_intent", openPayment(world, invoice)?.payment.payment_intent ?? "");
}

/** The time of the next automatic attempt after this many. */
function nextAttempt(world: World, invoice: Invoice, attempts: number): number | null {
  const days = world.settings.retryDays[attempts - 1];
  return days === undefined ? null : timeOf(world, invoice) + days * 86_400;
}

/**
 * Charge an open invoice.
 * @returns how it went; null where the customer has nothing to charge
 */
export function attemptPayment(world: World, invoice: Invoice, attempt: Attempt): Outcome | null {
  const method = attempt.paymentMethod ?? paymentMethodOf(world, invoice);
  const intent = intentOf(world, invoice);
  if (!intent) throw invalidRequest("This invoice has no payment that is still open.");
  if (intent.status === "processing") return { kind: "processing" };
  const outcome =
    method === null
      ? null
      : confirmIntent(world, intent, method, {
          offSession: attempt.offSession,
          waitForCustomer: true,
        });
  if (outcome?.kind === "succeeded" || outcome?.kind === "processing") return outcome;
  if (outcome?.kind === "requires_action" && attempt.present) {
    emit(world, "invoice.payment_action_required", invoice);
    return outcome;
  }
  noteFailure(world, invoice, attempt, outcome);
  return outcome;
}

function noteFailure(world: World, invoice: Invoice, attempt: Attempt, outcome: Outcome | null): void {
  const subscription = subscriptionOf(world, invoice);
  // A subscription's first invoice is not tried again by itself, nor one that a pending update waits for.
  const retrying =
    invoice.auto_advance === true &&
    invoice.collection_method === "charge_automatically" &&
    invoice.billing_reason !== "subscription_create" &&
    !(subscription && isForPendingUpdate(world, subscription, invoice));
  const attempts = invoice.attempt_count + (attempt.automatic ? 1 : 0);
  const planned = attempt.automatic ? nextAttempt(world, invoice, attempts) : invoice.next_payment_attempt;
  change(world, "invoice.updated", invoice, (it) => {
    it.attempted = true;
    it.attempt_count = Math.max(1, attempts);
    it.next_payment_attempt = retrying ? planned : null;
  });
  if (retrying) world.jobs.set("invoice.attempt", invoice.id, invoice.test_clock, planned);
  emit(world, "invoice.payment_failed", invoice);
  if (outcome?.kind === "requires_action") emit(world, "invoice.payment_action_required", invoice);
  afterFailedAttempt(world, invoice, attempt.automatic && planned === null);
}

/** A debit or an authentication came to nothing after the fact. */
export function noteLateFailure(world: World, invoice: Invoice): void {
  // A debit that Stripe began by itself counts only now, and the next attempt is planned from here.
  const planned = invoice.next_payment_attempt;
  const automatic = planned !== null && planned <= timeOf(world, invoice);
  noteFailure(world, invoice, { automatic, offSession: true }, null);
}

/** The next automatic step of an invoice that has been made final: charge it, or mail it. */
export function collect(world: World, invoice: Invoice): Outcome | null {
  if (invoice.status !== "open") return null;
  if (invoice.collection_method === "charge_automatically") {
    return attemptPayment(world, invoice, { automatic: true, offSession: true });
  }
  sendInvoice(world, invoice);
  return null;
}

/** Make a draft final and collect it right away, as for a subscription's first invoice. */
export function finalizeAndCollect(world: World, invoice: Invoice): Outcome | null {
  finalizeInvoice(world, invoice);
  return collect(world, invoice);
}

/** What `POST /v1/invoices/:id/pay` answers when the attempt did not end in a payment. */
export function attemptError(world: World, invoice: Invoice, outcome: Outcome | null): StripeError {
  const intent = intentOf(world, invoice);
  if (outcome?.kind === "declined" && intent) return declinedError(intent, outcome);
  if (outcome?.kind === "requires_action") {
    return cardError(
      "This payment requires additional user action before it can be completed successfully. Payment can be completed using the PaymentIntent associated with the invoice. For more details see: https://stripe.com/docs/billing/subscriptions/overview#requires-action",
      { code: "invoice_payment_intent_requires_action" },
    );
  }
  return invalidRequest(
    "There is no `default_payment_method` set on this Customer or Invoice. Please set an active payment method as the default, and try again.",
  );
}

/** The status as it is by now; the compiler only remembers what was checked before. */
function statusOf(invoice: Invoice): Invoice["status"] {
  return invoice.status;
}

export interface PayOptions {
  paymentMethod: string | null;
  outOfBand: boolean;
  offSession: boolean;
}

/** Pay an invoice now, at somebody's request. */
export function payInvoice(world: World, invoice: Invoice, options: PayOptions): Invoice {
  if (invoice.status === "paid") throw invalidRequest("Invoice is already paid");
  if (invoice.status === "void") throw invalidRequest("Invoice is void and can't be paid");
  if (invoice.status === "draft") finalizeInvoice(world, invoice);
  // An invoice of nothing is paid once it is final.
  if (statusOf(invoice) === "paid") return invoice;
  if (options.outOfBand) {
    payOutOfBand(world, invoice);
    return invoice;
  }
  const { offSession } = options;
  const given = options.paymentMethod;
  const paymentMethod = given && ownMethod(world, customerOfInvoice(world, invoice), given, "payment_method");
  const outcome = attemptPayment(world, invoice, { automatic: false, paymentMethod, offSession });
  if (outcome === null || outcome.kind === "declined" || outcome.kind === "requires_action") {
    throw afterEffects(attemptError(world, invoice, outcome));
  }
  return invoice;
}

/** A due date went by unpaid. */
export function markOverdue(world: World, invoice: Invoice): void {
  if (invoice.status !== "open") return;
  emit(world, "invoice.overdue", invoice);
  afterFailedAttempt(world, invoice, false);
}

/** What Stripe does with a draft while its subscription's collection is paused. */
export function collectPaused(world: World, invoice: Invoice, subscription: Subscription): void {
  const behaviour = subscription.pause_collection?.behavior;
  if (behaviour === "keep_as_draft") return;
  finalizeInvoice(world, invoice);
  if (statusOf(invoice) !== "open") return;
  if (behaviour === "void") voidInvoice(world, invoice);
  else markUncollectible(world, invoice);
}
