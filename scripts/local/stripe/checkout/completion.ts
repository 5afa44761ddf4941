import { attemptError, attemptPayment, paymentMethodOf } from "../billing/collection.ts";
import { createCustomer, shippingFrom } from "../billing/customers.ts";
import { createSubscription } from "../billing/subscriptions.ts";
import { change, emit } from "../core/events.ts";
import type { Card, CheckoutSession, Customer, PaymentIntent, PaymentMethod } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { afterEffects, invalidRequest } from "../http/errors.ts";
import type { FormHash } from "../http/form.ts";
import { Params } from "../http/params.ts";
import { authenticateIntent, confirmIntent, declinedError, type Outcome } from "../payments/confirmation.ts";
import { attach, paymentMethodFor } from "../payments/instruments.ts";
import { createIntent } from "../payments/intents.ts";
import { authenticateSetup, confirmSetup, createSetupIntent } from "../payments/setups.ts";
import { sessionLines } from "./sessions.ts";

/** What a buyer types into the page. */
export interface Buyer {
  /** A payment method, `pm_card_…`, or a test card's number. */
  paymentMethod: string | null;
  email: string | null;
  name: string | null;
  /** What they do when 3-D Secure is asked for; `leave` walks away. */
  authenticate: "succeed" | "fail" | "leave";
}

function customerFor(world: World, session: CheckoutSession, buyer: Buyer): Customer | null {
  if (session.customer) return world.store.get("customer", session.customer) ?? null;
  if (session.mode === "payment" && session.customer_creation !== "always") return null;
  const details: FormHash = {};
  const email = session.customer_email ?? buyer.email;
  if (email) details.email = email;
  if (buyer.name) details.name = buyer.name;
  const customer = createCustomer(world, new Params(details));
  session.customer = customer.id;
  return customer;
}

function describeBuyer(
  session: CheckoutSession,
  buyer: Buyer,
  customer: Customer | null,
  method: PaymentMethod | Card | null,
): void {
  const billing = method?.object === "payment_method" ? method.billing_details : null;
  session.customer_details = {
    address: billing?.address ?? null,
    business_name: null,
    email: session.customer_email ?? customer?.email ?? buyer.email ?? billing?.email ?? null,
    individual_name: null,
    name: customer?.name ?? buyer.name ?? billing?.name ?? null,
    phone: billing?.phone ?? null,
    tax_exempt: "none",
    tax_ids: [],
  };
}

/** Let the buyer answer a question of 3-D Secure, if there is one. */
function answer(world: World, intent: PaymentIntent, outcome: Outcome | null, buyer: Buyer): Outcome | null {
  if (outcome?.kind !== "requires_action" || buyer.authenticate === "leave") return outcome;
  authenticateIntent(world, intent, buyer.authenticate === "succeed");
  if (statusOf(intent) === "succeeded") return { kind: "succeeded" };
  throw afterEffects(
    invalidRequest(intent.last_payment_error?.message ?? "The payment could not be authenticated.", {
      code: intent.last_payment_error?.code ?? "payment_intent_authentication_failure",
    }),
  );
}

function statusOf(intent: PaymentIntent): PaymentIntent["status"] {
  return intent.status;
}

function subscribe(
  world: World,
  session: CheckoutSession,
  customer: Customer,
  method: string | null,
  buyer: Buyer,
): void {
  const plan = world.store.hidden.sessions.get(session.id);
  const earlier = world.store.get("subscription", session.subscription ?? "");
  const subscription =
    earlier ??
    createSubscription(
      world,
      customer,
      new Params({
        ...(plan?.subscription ?? {}),
        // Where nothing is to be paid yet, nothing can show that the card works.
        ...(method && session.amount_total === 0 ? { default_payment_method: method } : {}),
        items: sessionLines(world, session.id)
          .filter((line) => line.price?.recurring)
          .map((line) => ({ price: line.price?.id ?? "", quantity: String(line.quantity ?? 1) })),
        add_invoice_items: sessionLines(world, session.id)
          .filter((line) => !line.price?.recurring)
          .map((line) => ({ price: line.price?.id ?? "", quantity: String(line.quantity ?? 1) })),
        payment_behavior: "default_incomplete",
      }),
    );
  session.subscription = subscription.id;
  world.store.hidden.checkoutSubscriptions.set(subscription.id, session.id);
  session.invoice = subscription.latest_invoice;
  const invoice = world.store.get("invoice", subscription.latest_invoice ?? "");
  if (invoice?.status !== "open") {
    change(world, "customer.subscription.updated", subscription, (it) => {
      it.default_payment_method ??= method;
    });
    return;
  }
  const outcome = attemptPayment(world, invoice, {
    automatic: false,
    paymentMethod: method ?? paymentMethodOf(world, invoice),
    offSession: false,
    present: true,
  });
  if (outcome === null || outcome.kind === "declined")
    throw afterEffects(attemptError(world, invoice, outcome));
  const payment = world.store.related("invoice_payment", "invoice", invoice.id)[0];
  const intent = world.store.get("payment_intent", payment?.payment.payment_intent ?? "");
  if (intent) answer(world, intent, outcome, buyer);
}

function pay(
  world: World,
  session: CheckoutSession,
  customer: Customer | null,
  method: string | null,
  buyer: Buyer,
): void {
  const data = new Params(world.store.hidden.sessions.get(session.id)?.payment ?? {});
  const earlier = world.store.get("payment_intent", session.payment_intent ?? "");
  const intent =
    earlier ??
    createIntent(world, {
      amount: session.amount_total ?? 0,
      currency: session.currency ?? "usd",
      customer: customer?.id ?? null,
      captureMethod: data.choice("capture_method", ["automatic", "manual"]) ?? "automatic",
      description: data.text("description") ?? null,
      metadata: data.hash("metadata") ?? {},
      paymentMethodTypes: session.payment_method_types,
      receiptEmail: data.text("receipt_email") ?? null,
      setupFutureUsage: data.choice("setup_future_usage", ["off_session", "on_session"]) ?? null,
      shipping: shippingFrom(data.child("shipping")),
    });
  session.payment_intent = intent.id;
  world.store.hidden.intentSessions.set(intent.id, session.id);
  const outcome = confirmIntent(world, intent, method, { offSession: false });
  if (outcome.kind === "declined") throw declinedError(intent, outcome);
  answer(world, intent, outcome, buyer);
}

function setUp(
  world: World,
  session: CheckoutSession,
  customer: Customer | null,
  method: string | null,
  buyer: Buyer,
): void {
  const data = new Params(world.store.hidden.sessions.get(session.id)?.setup ?? {});
  const setup = createSetupIntent(world, {
    customer: customer?.id ?? null,
    usage: "off_session",
    description: data.text("description") ?? null,
    metadata: data.hash("metadata") ?? {},
  });
  session.setup_intent = setup.id;
  confirmSetup(world, setup, method);
  if (buyer.authenticate !== "leave" && setup.status === "requires_action") {
    authenticateSetup(world, setup, buyer.authenticate === "succeed");
  }
}

/** Whether the money is there, on its way, or not asked for. */
function paymentStatusOf(world: World, session: CheckoutSession): CheckoutSession["payment_status"] | null {
  if (session.mode === "setup") return "no_payment_required";
  if (session.mode === "subscription") {
    const invoice = world.store.get("invoice", session.invoice ?? "");
    if (invoice?.status !== "paid") return null;
    return invoice.amount_due === 0 ? "no_payment_required" : "paid";
  }
  const intent = world.store.get("payment_intent", session.payment_intent ?? "");
  if (intent?.status === "processing" || intent?.status === "requires_capture") return "unpaid";
  return intent?.status === "succeeded" ? "paid" : null;
}

/**
 * The buyer fills in the page and presses the button.
 * @throws what the page would show them: a declined card leaves the session open for another try
 */
export function completeSession(world: World, session: CheckoutSession, buyer: Buyer): CheckoutSession {
  if (session.status !== "open") {
    throw invalidRequest(`This Checkout Session has a status of ${session.status}: it cannot be completed.`);
  }
  const customer = customerFor(world, session, buyer);
  const wanted = buyer.paymentMethod;
  const method = wanted === null ? null : paymentMethodFor(world, wanted, "payment_method", customer);
  if (method?.object === "payment_method") {
    if (buyer.email) method.billing_details.email ??= buyer.email;
    if (buyer.name) method.billing_details.name ??= buyer.name;
    if (customer && session.mode !== "payment") attach(world, method, customer);
  }
  describeBuyer(session, buyer, customer, method);
  const id = method?.id ?? null;
  if (session.mode === "subscription" && customer) subscribe(world, session, customer, id, buyer);
  else if (session.mode === "payment") pay(world, session, customer, id, buyer);
  else setUp(world, session, customer, id, buyer);
  const status = paymentStatusOf(world, session);
  if (status === null) return session;
  session.payment_status = status;
  session.status = "complete";
  session.url = null;
  world.jobs.set("session.expire", session.id, null, null);
  emit(world, "checkout.session.completed", session);
  return session;
}

/** A debit that a completed session waited for is decided. */
export function afterSessionPayment(world: World, intent: PaymentIntent, succeeded: boolean): void {
  const session = world.store.get("checkout.session", world.store.hidden.intentSessions.get(intent.id) ?? "");
  if (session?.status !== "complete" || session.payment_status === "paid") return;
  if (succeeded) session.payment_status = "paid";
  emit(
    world,
    succeeded ? "checkout.session.async_payment_succeeded" : "checkout.session.async_payment_failed",
    session,
  );
}
