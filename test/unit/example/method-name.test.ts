import { expect, test } from "vitest";
import { en } from "../../../emails/languages/en.ts";
import { methodInText, methodLabel } from "../../../examples/saas/src/billing/method-name.ts";

const method = (type: string, brand: string | null, last4: string | null) => ({
  ...{ type, brand, last4 },
  expires: undefined,
});

test.each([
  ["a card", method("card", "unionpay", "4242"), "UnionPay •••• 4242"],
  ["a card of a brand that is not known", method("card", "girocard", "4242"), "Card •••• 4242"],
  ["a bank account", method("us_bank_account", null, "6789"), "Bank account •••• 6789"],
  ["a direct debit", method("sepa_debit", null, "3000"), "SEPA •••• 3000"],
  ["a wallet", method("paypal", null, null), "PayPal"],
])("the billing page names %s as mails do, and shows no name of Stripe's API", (_, paidWith, label) => {
  // Spaces that keep a line together are spaces here.
  expect(methodLabel(en, paidWith).replaceAll("\u00a0", " ")).toBe(label);
  expect(methodInText(en, paidWith)).not.toContain("_");
});
