import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, type Harness, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

function pay(paymentMethod: string, more: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  return stripe.paymentIntents.create({
    amount: 1500,
    currency: "usd",
    payment_method: paymentMethod,
    confirm: true,
    ...more,
  });
}

/** Types of the events about these ids, in order. */
function about(...ids: string[]): string[] {
  return harness.local.events
    .all()
    .filter((event) => ids.includes(String(event.data.object.id)))
    .map((event) => event.type);
}

describe("cards", () => {
  test.each([
    ["4242424242424242", "visa", "4242"],
    ["5555 5555 5555 4444", "mastercard", "4444"],
    ["378282246310005", "amex", "0005"],
  ])("%s is a %s", async (number, brand, last4) => {
    const method = await stripe.paymentMethods.create({
      type: "card",
      card: { number, exp_month: 8, exp_year: 2031, cvc: "123" },
    });
    expect(method.card).toMatchObject({ brand, last4, exp_month: 8, exp_year: 2031 });
  });

  test("a token and a name make a new payment method each time", async () => {
    const byToken = await stripe.paymentMethods.create({ type: "card", card: { token: "tok_visa" } });
    const byName = await stripe.paymentMethods.retrieve("pm_card_visa");
    expect(byToken.id).not.toBe(byName.id);
    expect(byToken.card?.fingerprint).toBe(byName.card?.fingerprint);
  });

  test("a number that is no test card, and a date that has passed, are card errors", async () => {
    const card = { number: "4111111111111112", exp_month: 1, exp_year: 2031 };
    expect(await errorOf(stripe.paymentMethods.create({ type: "card", card }))).toMatchObject({
      statusCode: 402,
      code: "incorrect_number",
    });
    const old = { number: "4242424242424242", exp_month: 1, exp_year: 2020 };
    expect(await errorOf(stripe.paymentMethods.create({ type: "card", card: old }))).toMatchObject({
      code: "invalid_expiry_year",
    });
  });

  test.each([
    ["pm_card_chargeDeclined", "card_declined", "generic_decline"],
    ["pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"],
    ["pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card", ""],
    ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", ""],
    ["pm_card_chargeDeclinedProcessingError", "processing_error", ""],
  ])("%s is refused with %s %s", async (name, code, decline) => {
    const error = await errorOf(pay(name));
    expect(error).toMatchObject({ statusCode: 402, type: "StripeCardError", code, decline_code: decline });
    expect(error.payment_intent).toMatchObject({ status: "requires_payment_method" });
    const charge = await stripe.charges.retrieve(error.charge ?? "");
    expect(charge).toMatchObject({ status: "failed", paid: false, failure_code: code });
    expect(about(charge.id)).toEqual(["charge.failed"]);
  });

  test("a card that is refused cannot be saved; one that fails later can", async () => {
    const customer = await stripe.customers.create({});
    const refused = stripe.paymentMethods.attach("pm_card_chargeDeclined", { customer: customer.id });
    expect(await errorOf(refused)).toMatchObject({ statusCode: 402, code: "card_declined" });
    const saved = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: customer.id });
    expect(saved.customer).toBe(customer.id);
    const error = await errorOf(pay(saved.id, { customer: customer.id, off_session: true }));
    expect(error).toMatchObject({ code: "card_declined", decline_code: "generic_decline" });
  });

  test("a saved card can be updated, found, and taken away, wherever it was the default", async () => {
    const customer = await stripe.customers.create({
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    });
    const id = String(customer.invoice_settings.default_payment_method);
    await stripe.paymentMethods.update(id, { card: { exp_year: 2040 }, metadata: { a: "b" } });
    expect((await stripe.customers.listPaymentMethods(customer.id)).data[0]?.card?.exp_year).toBe(2040);
    await stripe.paymentMethods.detach(id);
    expect((await stripe.paymentMethods.list({ customer: customer.id })).data).toEqual([]);
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({
      invoice_settings: { default_payment_method: null },
    });
    expect(about(id)).toEqual([
      "payment_method.attached",
      "payment_method.updated",
      "payment_method.detached",
    ]);
  });

  test("the test helpers bend a card: it fails, it works again, the network renews it", async () => {
    const customer = await stripe.customers.create({ payment_method: "pm_card_visa" });
    const { data } = await stripe.customers.listPaymentMethods(customer.id);
    const id = data[0]?.id ?? "";
    const behave = (outcome: string) =>
      stripe.rawRequest("POST", `/v1/test_helpers/duebase/payment_methods/${id}/behave`, { outcome });
    await behave("insufficient_funds");
    expect(await errorOf(pay(id, { customer: customer.id }))).toMatchObject({
      decline_code: "insufficient_funds",
    });
    await behave("succeed");
    expect(await pay(id, { customer: customer.id })).toMatchObject({ status: "succeeded" });
    await stripe.rawRequest(
      "POST",
      `/v1/test_helpers/duebase/payment_methods/${id}/automatically_update`,
      {},
    );
    expect(about(id)).toContain("payment_method.automatically_updated");
  });
});

describe("payment intents", () => {
  test("a payment that works leaves a charge, a balance transaction and its events", async () => {
    const intent = await pay("pm_card_visa");
    expect(intent).toMatchObject({ status: "succeeded", amount_received: 1500, last_payment_error: null });
    expect("charges" in intent || "invoice" in intent).toBe(false);
    const charge = await stripe.charges.retrieve(String(intent.latest_charge), {
      expand: ["balance_transaction"],
    });
    expect(charge).toMatchObject({
      status: "succeeded",
      paid: true,
      captured: true,
      payment_intent: intent.id,
    });
    expect(charge.balance_transaction).toMatchObject({ amount: 1500, type: "charge", source: charge.id });
    expect("invoice" in charge).toBe(false);
    expect(about(intent.id, charge.id)).toEqual([
      "payment_intent.created",
      "charge.succeeded",
      "charge.updated",
      "payment_intent.succeeded",
    ]);
  });

  test("3-D Secure waits for the customer, who passes, fails, or is away", async () => {
    const waiting = await pay("pm_card_authenticationRequired", { return_url: "https://app.example/back" });
    expect(waiting).toMatchObject({ status: "requires_action", next_action: { type: "redirect_to_url" } });
    await stripe.rawRequest(
      "POST",
      `/v1/test_helpers/duebase/payment_intents/${waiting.id}/authenticate`,
      {},
    );
    expect(await stripe.paymentIntents.retrieve(waiting.id)).toMatchObject({ status: "succeeded" });

    const failing = await pay("pm_card_authenticationRequired");
    await stripe.rawRequest("POST", `/v1/test_helpers/duebase/payment_intents/${failing.id}/authenticate`, {
      outcome: "fail",
    });
    expect(await stripe.paymentIntents.retrieve(failing.id)).toMatchObject({
      status: "requires_payment_method",
      last_payment_error: { code: "payment_intent_authentication_failure" },
    });
    expect(await errorOf(pay("pm_card_authenticationRequired", { off_session: true }))).toMatchObject({
      code: "authentication_required",
    });
  });

  test("a card that is set up once is not asked again while the customer is away", async () => {
    const customer = await stripe.customers.create({});
    const setup = await stripe.setupIntents.create({
      customer: customer.id,
      payment_method: "pm_card_authenticationRequiredOnSetup",
      confirm: true,
    });
    expect(setup.status).toBe("requires_action");
    await stripe.rawRequest("POST", `/v1/test_helpers/duebase/setup_intents/${setup.id}/authenticate`, {});
    const saved = await stripe.setupIntents.retrieve(setup.id);
    expect(saved.status).toBe("succeeded");
    const intent = await pay(String(saved.payment_method), { customer: customer.id, off_session: true });
    expect(intent.status).toBe("succeeded");
  });

  test("held money is captured in part, or let go", async () => {
    const held = await pay("pm_card_visa", { capture_method: "manual" });
    expect(held).toMatchObject({ status: "requires_capture", amount_capturable: 1500 });
    expect(await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1000 })).toMatchObject({
      status: "succeeded",
      amount_received: 1000,
    });
    const dropped = await pay("pm_card_visa", { capture_method: "manual" });
    expect(await stripe.paymentIntents.cancel(dropped.id)).toMatchObject({ status: "canceled" });
    expect(await errorOf(stripe.paymentIntents.cancel(held.id))).toMatchObject({
      code: "payment_intent_unexpected_state",
    });
  });

  test("a bank debit is processing, and is paid or comes back", async () => {
    for (const [iban, status] of [
      ["AT611904300234573201", "succeeded"],
      ["AT861904300235473202", "requires_payment_method"],
    ] as const) {
      const method = await stripe.paymentMethods.create({ type: "sepa_debit", sepa_debit: { iban } });
      const intent = await pay(method.id, { currency: "eur", allowed_payment_method_types: ["sepa_debit"] });
      expect(intent.status).toBe("processing");
      await expect
        .poll(async () => (await stripe.paymentIntents.retrieve(intent.id)).status, { timeout: 10_000 })
        .toBe(status);
    }
  });

  test("the older way, a charge of a token, still works and still declines", async () => {
    const charge = await stripe.charges.create({ amount: 700, currency: "usd", source: "tok_visa" });
    expect(charge).toMatchObject({ status: "succeeded", payment_intent: null });
    const declined = stripe.charges.create({ amount: 700, currency: "usd", source: "tok_chargeDeclined" });
    expect(await errorOf(declined)).toMatchObject({ code: "card_declined" });
  });
});

describe("refunds", () => {
  test("money goes back in parts and never more than there was", async () => {
    const intent = await pay("pm_card_visa");
    const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 500 });
    expect(refund).toMatchObject({ status: "succeeded", amount: 500, payment_intent: intent.id });
    expect(await errorOf(stripe.refunds.create({ payment_intent: intent.id, amount: 1001 }))).toMatchObject({
      param: "amount",
    });
    await stripe.refunds.create({ payment_intent: intent.id });
    const charge = await stripe.charges.retrieve(String(intent.latest_charge), { expand: ["refunds"] });
    expect(charge).toMatchObject({ refunded: true, amount_refunded: 1500 });
    expect(charge.refunds?.data).toHaveLength(2);
    expect(await errorOf(stripe.refunds.create({ charge: charge.id }))).toMatchObject({
      code: "charge_already_refunded",
    });
    expect(about(refund.id)).toEqual(["refund.created", "charge.refund.updated"]);
    expect(harness.local.ledger.count({ kind: "refund.succeeded", customer: null })).toBe(2);
  });

  test("a refund the bank sends back fails, and the charge is no longer refunded", async () => {
    const intent = await pay("pm_card_refundFail");
    const refund = await stripe.refunds.create({ payment_intent: intent.id });
    await expect
      .poll(async () => (await stripe.refunds.retrieve(refund.id)).status, { timeout: 10_000 })
      .toBe("failed");
    expect(about(refund.id)).toEqual(expect.arrayContaining(["refund.failed", "refund.updated"]));
    expect(await stripe.charges.retrieve(String(intent.latest_charge))).toMatchObject({
      refunded: false,
      amount_refunded: 0,
    });
  });
});

describe("disputes", () => {
  test("a dispute takes the money, and gives it back when it is won", async () => {
    const intent = await pay("pm_card_createDispute");
    const dispute = (await stripe.disputes.list({ payment_intent: intent.id })).data[0];
    expect(dispute).toMatchObject({ status: "needs_response", reason: "fraudulent", amount: 1500 });
    await stripe.disputes.update(dispute?.id ?? "", {
      evidence: { uncategorized_text: "winning_evidence" },
      submit: true,
    });
    expect(await stripe.disputes.retrieve(dispute?.id ?? "")).toMatchObject({ status: "won" });
    expect(about(dispute?.id ?? "")).toEqual([
      "charge.dispute.created",
      "charge.dispute.funds_withdrawn",
      "charge.dispute.updated",
      "charge.dispute.closed",
      "charge.dispute.funds_reinstated",
    ]);
  });

  test("an inquiry takes no money; giving in closes it", async () => {
    const intent = await pay("pm_card_createDisputeInquiry");
    const dispute = (await stripe.disputes.list({ payment_intent: intent.id })).data[0];
    expect(dispute?.status).toBe("warning_needs_response");
    expect(await stripe.disputes.close(dispute?.id ?? "")).toMatchObject({ status: "warning_closed" });
    expect(about(dispute?.id ?? "")).toEqual(["charge.dispute.created", "charge.dispute.closed"]);
  });
});
