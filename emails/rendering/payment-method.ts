import type { PaymentMethod } from "../contract.ts";
import type { MethodKind } from "../languages/en.ts";

/** Names that are the same in every language, by Stripe's `card.brand` and `payment_method.type`. */
const brandNames: Record<string, string> = {
  amex: "American Express",
  cartes_bancaires: "Cartes Bancaires",
  diners: "Diners Club",
  discover: "Discover",
  eftpos_au: "eftpos",
  interac: "Interac",
  jcb: "JCB",
  mastercard: "Mastercard",
  unionpay: "UnionPay",
  visa: "Visa",
};
const walletNames: Record<string, string> = {
  amazon_pay: "Amazon Pay",
  bacs_debit: "Bacs Direct Debit",
  bancontact: "Bancontact",
  cashapp: "Cash App Pay",
  ideal: "iDEAL",
  klarna: "Klarna",
  link: "Link",
  paypal: "PayPal",
  revolut_pay: "Revolut Pay",
  sepa_debit: "SEPA",
};
/** Cards in an online form and cards at a terminal. */
const cards = new Set(["card", "card_present", "interac_present"]);
const bankAccounts = new Set([
  "ach_debit",
  "acss_debit",
  "au_becs_debit",
  "nz_bank_account",
  "us_bank_account",
]);

/** The parts a language needs to name a payment method. Types Stripe adds later are named in general. */
export function describeMethod(method: PaymentMethod): {
  name: string | undefined;
  kind: MethodKind;
  last4: string | undefined;
} {
  const last4 = method.last4 || undefined;
  if (cards.has(method.type)) return { name: brandNames[method.brand ?? ""], kind: "card", last4 };
  const kind = bankAccounts.has(method.type) ? "bankAccount" : "other";
  return { name: walletNames[method.type] ?? (method.name || undefined), kind, last4 };
}
