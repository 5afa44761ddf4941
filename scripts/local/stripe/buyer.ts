import { setTimeout as wait } from "node:timers/promises";
import type Stripe from "stripe";

/**
 * What people, banks and clocks do, through a stripe-node client of the local Stripe.
 * These paths exist at the local Stripe only, except the test clock's.
 */

const helpers = "/v1/test_helpers/duebase";

/** What a buyer types into the checkout page. */
export interface BuyerInput {
  /** `pm_card_visa` where absent; a payment method's id, another `pm_card_…`, or a test card's number. */
  paymentMethod?: string;
  email?: string;
  name?: string;
  /** The answer to 3-D Secure, if it is asked for; `leave` walks away and leaves the session open. */
  authenticate?: "succeed" | "fail" | "leave";
}

/**
 * Fill in a checkout session's page and press the button.
 * @throws the card error the page would show; the session is then still open
 */
export async function completeCheckout(
  stripe: Stripe,
  session: string,
  buyer: BuyerInput = {},
): Promise<Stripe.Checkout.Session> {
  const { paymentMethod, ...rest } = buyer;
  const params = { ...rest, ...(paymentMethod ? { payment_method: paymentMethod } : {}) };
  await stripe.rawRequest("POST", `${helpers}/checkout/sessions/${session}/complete`, params);
  return stripe.checkout.sessions.retrieve(session);
}

/**
 * Give a new card on the portal's page, reached as our mails reach it (`flow_data[type]=payment_method_update`):
 * it becomes the customer's default, and no subscription's.
 * @param card `pm_card_…` or a test card's number
 * @throws with the page's words if the bank refuses the card
 */
export async function giveCardInPortal(stripe: Stripe, customer: string, card: string): Promise<void> {
  const { url } = await stripe.billingPortal.sessions.create({
    customer,
    flow_data: { type: "payment_method_update" },
  });
  await submit(url, { action: "card", payment_method: card });
}

/** Cancel on the portal's page for the end of the period, or take that back. */
export async function leaveInPortal(
  stripe: Stripe,
  customer: string,
  subscription: string,
  action: "leave" | "stay" = "leave",
): Promise<void> {
  const { url } = await stripe.billingPortal.sessions.create({ customer });
  await submit(url, { action, subscription });
}

async function submit(url: string, fields: Record<string, string>): Promise<void> {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams(fields) });
  const text = await response.text();
  if (!response.ok) throw new Error(/role="alert">([^<]*)/.exec(text)?.[1] ?? `HTTP ${response.status}`);
}

/** Pass, or fail, the 3-D Secure a PaymentIntent waits for. */
export async function authenticatePayment(
  stripe: Stripe,
  intent: string,
  outcome: "succeed" | "fail" = "succeed",
): Promise<Stripe.PaymentIntent> {
  await stripe.rawRequest("POST", `${helpers}/payment_intents/${intent}/authenticate`, { outcome });
  return stripe.paymentIntents.retrieve(intent);
}

/** Pass, or fail, the 3-D Secure a SetupIntent waits for. */
export async function authenticateSetup(
  stripe: Stripe,
  setup: string,
  outcome: "succeed" | "fail" = "succeed",
): Promise<Stripe.SetupIntent> {
  await stripe.rawRequest("POST", `${helpers}/setup_intents/${setup}/authenticate`, { outcome });
  return stripe.setupIntents.retrieve(setup);
}

/**
 * Make a saved card fail, or work again, from its next charge on.
 * @param outcome `succeed`, `authenticate` (3-D Secure each time), or a decline such as `insufficient_funds`
 */
export async function setCardOutcome(stripe: Stripe, paymentMethod: string, outcome: string): Promise<void> {
  await stripe.rawRequest("POST", `${helpers}/payment_methods/${paymentMethod}/behave`, { outcome });
}

/** The card network tells Stripe that a card was replaced: `payment_method.automatically_updated`. */
export async function replaceCard(
  stripe: Stripe,
  paymentMethod: string,
  card: { exp_month?: number; exp_year?: number; last4?: string } = {},
): Promise<void> {
  await stripe.rawRequest("POST", `${helpers}/payment_methods/${paymentMethod}/automatically_update`, card);
}

/**
 * An open invoice, or a part of it, is paid by other ways than Stripe's, and reported: a payment record, without a
 * PaymentIntent or a charge.
 * @param amount in the currency's smallest unit; all that remains where absent
 */
export async function payByRecord(stripe: Stripe, invoice: string, amount?: number): Promise<Stripe.Invoice> {
  const { currency, amount_remaining: rest, created } = await stripe.invoices.retrieve(invoice);
  const record = await stripe.paymentRecords.reportPayment({
    amount_requested: { value: amount ?? rest, currency },
    initiated_at: created,
    outcome: "guaranteed",
    guaranteed: { guaranteed_at: created },
    payment_method_details: { type: "custom", custom: { display_name: "Bank transfer" } },
  });
  return stripe.invoices.attachPayment(invoice, { payment_record: record.id });
}

/**
 * Stripe pauses a subscription by itself.
 * @param cause what `status_details` will give as the reason, such as `system` or `final_payment_failure`
 */
export async function pauseByStripe(stripe: Stripe, subscription: string, cause = "system"): Promise<void> {
  await stripe.rawRequest("POST", `${helpers}/subscriptions/${subscription}/pause`, { cause });
}

/** The bank decides a dispute, or an appeal. */
export async function decideDispute(stripe: Stripe, dispute: string, outcome: "won" | "lost"): Promise<void> {
  await stripe.rawRequest("POST", `${helpers}/disputes/${dispute}/decide`, { outcome });
}

/** The card network lets a lost dispute be appealed: `appeal_needs_response`. */
export async function allowAppeal(stripe: Stripe, dispute: string): Promise<void> {
  await stripe.rawRequest("POST", `${helpers}/disputes/${dispute}/allow_appeal`, {});
}

/** The merchant appeals; `appeal_under_review` until somebody decides. */
export async function appealDispute(stripe: Stripe, dispute: string): Promise<Stripe.Dispute> {
  const card = { reason_for_filing: "The goods were received.", supporting_files: ["file_Example"] };
  return stripe.disputes.update(dispute, { evidence: { appeal: { card } }, submit: true });
}

/**
 * The cardholder goes to their bank about a charge.
 * @param kind `prevented` was resolved before it became a dispute, with the cardholder's money back;
 *   `prevented_without_funds` without
 */
export async function disputeCharge(
  stripe: Stripe,
  charge: string,
  kind: "fraudulent" | "product_not_received" | "inquiry" | "prevented" | "prevented_without_funds",
): Promise<Stripe.Dispute> {
  await stripe.rawRequest("POST", `${helpers}/charges/${charge}/dispute`, { kind });
  const { data } = await stripe.disputes.list({ charge });
  if (!data[0]) throw new Error(`${charge} has no dispute`);
  return data[0];
}

/**
 * Move a test clock forwards and wait until it is ready.
 * @param to seconds
 * @param limit milliseconds to wait
 */
export async function advanceClock(stripe: Stripe, clock: string, to: number, limit = 60_000): Promise<void> {
  await stripe.testHelpers.testClocks.advance(clock, { frozen_time: to });
  const deadline = Date.now() + limit;
  for (;;) {
    const { status } = await stripe.testHelpers.testClocks.retrieve(clock);
    if (status === "ready") return;
    if (Date.now() > deadline) throw new Error(`test clock ${clock} is ${status} after ${limit} ms`);
    await wait(10);
  }
}
