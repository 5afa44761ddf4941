import { afterEach, beforeEach, expect, it } from "vitest";
import { DunningWorld } from "../../support/dunning-world.ts";
import { days, hours, openInvoice, overdueSubscriber } from "../dunning/overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

/** The text of the newest mail that somebody got, as it lies in the inbox. */
function newest(email: string): string {
  const mail = world.inbox.emails().findLast(({ to }) => to.some((address) => address.includes(email)));
  return (mail?.text ?? "").replaceAll(/[\u00a0\u202f]/g, " ");
}

it.each([
  {
    language: "en",
    card: "Payment method: Mastercard •••• 4444",
    debit: /Payment method: SEPA/,
  },
  {
    language: "de",
    card: "Zahlungsmethode: Mastercard •••• 4444",
    debit: /Zahlungsmethode: SEPA/,
  },
])(
  "a mail names what paid in the end, and no card that was declined before ($language)",
  async (expected) => {
    for (const kind of ["card", "debit"] as const) {
      const somebody = await overdueSubscriber(world);
      await world.stripe.customers.update(somebody.customer, { preferred_locales: [expected.language] });
      await hours(world, 1);
      // The same PaymentIntent, on which the first card was declined.
      const { id } = await openInvoice(world, somebody);
      const method =
        kind === "card"
          ? await world.stripe.paymentMethods.attach("pm_card_mastercard", { customer: somebody.customer })
          : await world.stripe.paymentMethods.create({
              type: "sepa_debit",
              sepa_debit: { iban: "AT611904300234573201" },
              billing_details: { name: "Somebody", email: somebody.email },
            });
      if (kind === "debit")
        await world.stripe.paymentMethods.attach(method.id, { customer: somebody.customer });
      await world.stripe.invoices.pay(String(id), { payment_method: method.id });
      await days(world, kind === "card" ? 1 : 8);
      const text = newest(somebody.email);
      if (kind === "card") expect(text).toContain(expected.card);
      else expect(text).toMatch(expected.debit);
      expect(text).not.toMatch(/Visa|4242|0341/);
    }
  },
);
