import { createHash } from "node:crypto";
import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Card, Customer, PaymentMethod } from "../core/wire.ts";
import { type Clocked, timeOf, type World } from "../core/world.ts";
import { cardError, invalidRequest, resourceMissing } from "../http/errors.ts";
import { card, paymentMethod } from "../objects/payment-methods.ts";
import { behaviourOf, type CardBehaviour, findTestCard, type TestCard } from "./cards.ts";
import { type DeclineName, declines, isDeclineName } from "./declines.ts";

/** Expiry of test cards that were given by name. */
const defaultExpiry = { exp_month: 12, exp_year: 2030 };

export interface CardExpiry {
  exp_month: number;
  exp_year: number;
}

function fingerprint(number: string): string {
  return createHash("sha256").update(number).digest("base64url").slice(0, 16);
}

function cardOf(testCard: TestCard, expiry: CardExpiry): PaymentMethod["card"] {
  return card({
    brand: testCard.brand,
    country: testCard.country,
    ...expiry,
    fingerprint: fingerprint(testCard.number),
    funding: testCard.funding,
    last4: testCard.number.slice(-4),
  });
}

export const emptyBillingDetails: PaymentMethod["billing_details"] = {
  address: { city: null, country: null, line1: null, line2: null, postal_code: null, state: null },
  email: null,
  name: null,
  phone: null,
  tax_id: null,
};

/** The first payment method of a test card. */
export function createCard(
  world: World,
  testCard: TestCard,
  expiry: CardExpiry = defaultExpiry,
  subject: Clocked | null = null,
): PaymentMethod {
  const method = paymentMethod({
    id: newId("pm"),
    billing_details: structuredClone(emptyBillingDetails),
    card: cardOf(testCard, expiry),
    created: timeOf(world, subject),
    customer: null,
    type: "card",
  });
  return insertMethod(world, method, testCard.number);
}

/** @param number of the test card, or the IBAN */
function insertMethod(world: World, method: PaymentMethod, number: string): PaymentMethod {
  world.store.hidden.instruments.set(method.id, { number, setUp: false });
  return world.store.insert<"payment_method">(method);
}

/** A bank account behind SEPA debits. */
export function createSepaDebit(world: World, iban: string): PaymentMethod {
  const method = paymentMethod({
    id: newId("pm"),
    billing_details: structuredClone(emptyBillingDetails),
    created: timeOf(world, null),
    customer: null,
    sepa_debit: {
      bank_code: iban.slice(4, 9),
      branch_code: "",
      country: iban.slice(0, 2),
      fingerprint: fingerprint(iban),
      generated_from: { charge: null, setup_attempt: null },
      last4: iban.slice(-4),
    },
    type: "sepa_debit",
  });
  return insertMethod(world, method, iban);
}

/**
 * The payment method an id names. `pm_card_visa` and the like make a new one each time, as at Stripe.
 * @param param the parameter the id came in, for the error
 */
export function paymentMethodFor(
  world: World,
  id: string,
  param: string,
  subject: Clocked | null = null,
): PaymentMethod | Card {
  const testCard = findTestCard(id);
  if (testCard) return createCard(world, testCard, defaultExpiry, subject);
  const found = world.store.get("payment_method", id) ?? world.store.get("card", id);
  if (!found) throw resourceMissing(id.startsWith("tok_") ? "token" : "PaymentMethod", id, param);
  return found;
}

/** What the instrument does now: its card's behaviour, or what the test helper set. */
export function behaviourFor(world: World, id: string): CardBehaviour {
  const instrument = world.store.hidden.instruments.get(id);
  if (!instrument) return {};
  const { outcome } = instrument;
  if (outcome === undefined) return behaviourOf(instrument.number);
  if (isDeclineName(outcome)) return { declinedLater: outcome };
  return outcome === "authenticate" ? { authentication: "always" } : {};
}

export function isSetUp(world: World, id: string): boolean {
  return world.store.hidden.instruments.get(id)?.setUp ?? false;
}

export function markSetUp(world: World, id: string): void {
  const instrument = world.store.hidden.instruments.get(id);
  if (instrument) instrument.setUp = true;
}

/** The 402 a refusal becomes. */
export function declineError(
  name: DeclineName,
  details: Parameters<typeof cardError>[1] = {},
): ReturnType<typeof cardError> {
  const { code, message, decline_code: declineCode } = declines[name];
  const param = code === "expired_card" ? "exp_month" : code === "incorrect_cvc" ? "cvc" : undefined;
  return cardError(message, {
    code,
    ...(declineCode ? { decline_code: declineCode } : {}),
    ...(param ? { param } : {}),
    ...details,
  });
}

/** Save a payment method to a customer, after asking the bank. */
export function attach(world: World, paymentMethod: PaymentMethod, customer: Customer): void {
  if (paymentMethod.customer === customer.id) return;
  if (paymentMethod.customer !== null) {
    throw invalidRequest("The payment method you provided has already been attached to a customer.", {
      param: "payment_method",
    });
  }
  const { declined } = behaviourFor(world, paymentMethod.id);
  if (declined) throw declineError(declined);
  paymentMethod.customer = customer.id;
  emit(world, "payment_method.attached", paymentMethod, customer);
}

/** Take a payment method away from its customer, and from wherever it was the default. */
export function detach(world: World, paymentMethod: PaymentMethod): void {
  const customer = paymentMethod.customer ? world.store.get("customer", paymentMethod.customer) : undefined;
  if (!customer) {
    throw invalidRequest(
      "The payment method you provided is not attached to a customer so detachment is impossible.",
      { param: "payment_method" },
    );
  }
  paymentMethod.customer = null;
  emit(world, "payment_method.detached", paymentMethod, customer, { customer: customer.id });
  if (customer.invoice_settings.default_payment_method === paymentMethod.id) {
    change(world, "customer.updated", customer, (it) => {
      it.invoice_settings.default_payment_method = null;
    });
  }
  const subscriptions = world.store
    .related("subscription", "customer", customer.id)
    .filter((it) => it.default_payment_method === paymentMethod.id && it.status !== "canceled");
  for (const subscription of subscriptions) {
    change(world, "customer.subscription.updated", subscription, (it) => {
      it.default_payment_method = null;
    });
  }
}
