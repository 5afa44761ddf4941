import type { DeclineName } from "./declines.ts";

/** What a test card does, besides paying. */
export interface CardBehaviour {
  /** The bank refuses to save the card, and every charge. */
  declined?: DeclineName;
  /** The card can be saved; the bank refuses charges. */
  declinedLater?: DeclineName;
  /** 3-D Secure: `always`; `until_set_up`, then fine while the customer is away; `never_off_session` is asked for each time. */
  authentication?: "always" | "until_set_up";
  /** The cardholder disputes every charge. */
  dispute?: "fraudulent" | "product_not_received" | "inquiry";
  refund?: "fails" | "pending";
  /** Bank debits: the outcome comes later. */
  debitOutcome?: "succeeded" | "failed";
}

export interface TestCard extends CardBehaviour {
  number: string;
  brand: string;
  funding: "credit" | "debit" | "prepaid";
  country: string;
  /** Names after `pm_card_` and `tok_`. */
  names: string[];
}

function card(
  number: string,
  names: string | string[],
  behaviour: CardBehaviour & Partial<TestCard> = {},
): TestCard {
  return {
    number,
    brand: "visa",
    funding: "credit",
    country: "US",
    names: Array.isArray(names) ? names : [names],
    ...behaviour,
  };
}

/** A decline is named with and without its brand: `chargeDeclined`, `visa_chargeDeclined`. */
function declining(number: string, name: string, declined: DeclineName): TestCard {
  return card(number, [name, `visa_${name}`], { declined });
}

/** Stripe's test cards (https://docs.stripe.com/testing), by number and by name. */
export const testCards: TestCard[] = [
  card("4242424242424242", ["visa", "us"]),
  card("4000056655665556", "visa_debit", { funding: "debit" }),
  card("5555555555554444", "mastercard", { brand: "mastercard" }),
  card("5200828282828210", "mastercard_debit", { brand: "mastercard", funding: "debit" }),
  card("5105105105105100", "mastercard_prepaid", { brand: "mastercard", funding: "prepaid" }),
  card("378282246310005", "amex", { brand: "amex" }),
  card("6011111111111117", "discover", { brand: "discover" }),
  card("3056930009020004", "diners", { brand: "diners" }),
  card("3566002020360505", "jcb", { brand: "jcb" }),
  card("6200000000000005", "unionpay", { brand: "unionpay" }),
  card("4000002760000016", "de", { country: "DE" }),
  card("4000008260000000", ["gb", "uk"], { country: "GB" }),
  card("4000002500000003", "fr", { country: "FR" }),
  card("4000003920000003", "jp", { country: "JP" }),
  declining("4000000000000002", "chargeDeclined", "generic_decline"),
  declining("4000000000009995", "chargeDeclinedInsufficientFunds", "insufficient_funds"),
  declining("4000000000009987", "chargeDeclinedLostCard", "lost_card"),
  declining("4000000000009979", "chargeDeclinedStolenCard", "stolen_card"),
  declining("4000000000000069", "chargeDeclinedExpiredCard", "expired_card"),
  declining("4000000000000127", "chargeDeclinedIncorrectCvc", "incorrect_cvc"),
  declining("4000000000000119", "chargeDeclinedProcessingError", "processing_error"),
  declining("4000000000006975", "chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded"),
  declining("4100000000000019", "chargeDeclinedFraudulent", "fraudulent"),
  card("4000000000000341", "chargeCustomerFail", { declinedLater: "generic_decline" }),
  card("4000002500003155", "authenticationRequiredOnSetup", { authentication: "until_set_up" }),
  card("4000002760003184", "authenticationRequired", { authentication: "always" }),
  card("4000000000003220", "threeDSecure2Required", { authentication: "always" }),
  card("4000000000003063", "threeDSecureRequired", { authentication: "always" }),
  card("4000003800000446", "authenticationRequiredSetupForOffSession", { authentication: "until_set_up" }),
  card("4000008260003178", "authenticationRequiredChargeDeclinedInsufficientFunds", {
    authentication: "always",
    declinedLater: "insufficient_funds",
  }),
  card("4000000000000259", "createDispute", { dispute: "fraudulent" }),
  card("4000000000002685", "createDisputeProductNotReceived", { dispute: "product_not_received" }),
  card("4000000000001976", "createDisputeInquiry", { dispute: "inquiry" }),
  card("4000000000007726", "pendingRefund", { refund: "pending" }),
  card("4000000000005126", "refundFail", { refund: "fails" }),
  card("4000000000000077", "bypassPending"),
];

/** Test IBANs of SEPA debits; any other IBAN succeeds too. */
const ibanOutcomes: Record<string, "succeeded" | "failed"> = {
  AT861904300235473202: "failed",
  DE62370400440532013001: "failed",
  IT60X0542811101000000123456: "failed",
};

const byNumber = new Map(testCards.map((testCard) => [testCard.number, testCard]));
const byName = new Map(testCards.flatMap((testCard) => testCard.names.map((name) => [name, testCard])));

/** The test card of `pm_card_visa`, `tok_visa` or `4242 4242 4242 4242`. */
export function findTestCard(nameOrNumber: string): TestCard | undefined {
  const named = /^(?:pm_card|tok)_(.+)$/.exec(nameOrNumber)?.[1];
  return named === undefined ? byNumber.get(nameOrNumber.replaceAll(" ", "")) : byName.get(named);
}

/** What a card number or an IBAN does. */
export function behaviourOf(number: string): CardBehaviour {
  const testCard = byNumber.get(number);
  if (testCard) return testCard;
  return { debitOutcome: ibanOutcomes[number] ?? "succeeded" };
}
