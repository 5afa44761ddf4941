import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DunningWorld } from "../../support/dunning-world.ts";
import { invoice } from "../../support/stripe/invoices.ts";
import { openInvoice, overdueSubscriber } from "../dunning/overdue.ts";
import { NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

// What a receipt says of an invoice as Stripe tells it, read back from the inbox.

const period = { start: NOW, end: NOW + 30 * 86_400 };
const coupon = (id: string, name: string) => ({
  id,
  object: "discount",
  source: { type: "coupon", coupon: { id: `co_${id}`, object: "coupon", name } },
});
const line = (amount: number, values: object = {}) => ({
  id: `il_${amount}`,
  object: "line_item",
  amount,
  currency: "eur",
  description: null,
  quantity: 1,
  period,
  discount_amounts: [],
  metadata: {},
  ...values,
});
const billing = (product: string) => ({
  pricing: { type: "price_details", price_details: { price: null, product } },
});
const paid = (lines: object[], values: object) => ({
  ...invoice({ id: "in_Ada", created: NOW, customer: "cus_Ada", subscription: "sub_Ada" }),
  status: "paid",
  currency: "eur",
  number: "ADA-0001",
  lines: { object: "list", data: lines, has_more: false, total_count: lines.length },
  status_transitions: {
    finalized_at: NOW,
    paid_at: NOW + 60,
    marked_uncollectible_at: null,
    voided_at: null,
  },
  ...values,
});

/**
 * Three seats with a discount of their own, which Stripe's subtotal has taken off already, and a line that only its
 * product names; a discount of all of it, credits for usage, shipping, tax, a credit note, and a debt of before.
 */
const mixed = paid(
  [
    line(14_700, {
      description: "3 × Studio (at €49.00 / month)",
      quantity: 3,
      discount_amounts: [{ amount: 1470, discount: "di_Loyal" }],
    }),
    line(9900, billing("prod_Atelier")),
  ],
  {
    discounts: [coupon("di_Loyal", "Loyal"), coupon("di_Autumn", "Autumn")],
    total_discount_amounts: [
      { amount: 1470, discount: "di_Loyal" },
      { amount: 2313, discount: "di_Autumn" },
    ],
    total_pretax_credit_amounts: [
      { type: "discount", amount: 1470, discount: "di_Loyal" },
      { type: "credit_balance_transaction", amount: 1000, credit_balance_transaction: "cbtxn_Ada" },
    ],
    shipping_cost: { amount_subtotal: 500, amount_tax: 95, amount_total: 595 },
    default_tax_rates: [{ id: "txr_Ada", object: "tax_rate", display_name: "VAT", percentage: 19 }],
    total_taxes: [
      {
        amount: 3860,
        tax_behavior: "exclusive",
        type: "tax_rate_details",
        tax_rate_details: { tax_rate: "txr_Ada" },
      },
    ],
    subtotal: 23_130,
    total: 24_177,
    pre_payment_credit_notes_amount: 177,
    starting_balance: 1500,
    ending_balance: 0,
    amount_due: 25_500,
    amount_paid: 25_500,
    amount_remaining: 0,
  },
);

let close = async () => {};
afterEach(() => close());

describe.each([
  {
    locale: "en-IE",
    sums: [
      "Subtotal: €246.00",
      "Loyal: -€14.70",
      "Autumn: -€23.13",
      "Usage credits: -€10.00",
      "Shipping: €5.00",
      "VAT 19%: €38.60",
      "Total: €241.77",
      "Credited before payment: -€1.77",
      "Carried over from earlier: €15.00",
      "Amount paid: €255.00",
    ],
    lines: [/^3 × Studio \(at €49\.00 \/ month\).*€147\.00$/m, /^Atelier.*€99\.00$/m],
    more: "And more on the invoice",
    method: "Payment method: Bank transfer",
    plan: /subscription|plan\b/i,
  },
  {
    locale: "de",
    sums: [
      "Zwischensumme: 246,00 €",
      "Loyal: -14,70 €",
      "Autumn: -23,13 €",
      "Nutzungsguthaben: -10,00 €",
      "Versand: 5,00 €",
      "VAT 19 %: 38,60 €",
      "Gesamt: 241,77 €",
      "Vorab gutgeschrieben: -1,77 €",
      "Übertrag aus früheren Rechnungen: 15,00 €",
      "Bezahlter Betrag: 255,00 €",
    ],
    lines: [/^3 × Studio \(at €49\.00 \/ month\).*147,00 €$/m, /^Atelier.*99,00 €$/m],
    more: "Und weitere auf der Rechnung",
    method: "Zahlungsmethode: Bank transfer",
    plan: /Abonnement|Tarif/,
  },
])("in the inbox, in $locale,", ({ locale, sums, lines, more, method, plan }) => {
  describe("a receipt", () => {
    let ada: Subscriber;
    beforeEach(async () => {
      ada = await startSubscriber(locale);
      close = () => ada.close();
    });
    async function receiptOf(bill: object): Promise<string> {
      await ada.tell("customer.subscription.created", NOW, subscribed());
      await ada.tell("invoice.paid", NOW + 60, bill);
      const [mail, ...others] = await ada.mailsAt(NOW + 120);
      expect(others).toEqual([]);
      return `${mail?.subject}\n${mail?.text}`;
    }

    it("names every part of an invoice of many, which make its sum", async () => {
      const text = await receiptOf(mixed);
      expect(text).toContain("ADA-0001");
      for (const each of lines) expect(text).toMatch(each);
      const rows = text.replaceAll("−", "-").split("\n");
      expect(rows.filter((row) => sums.includes(row))).toEqual(sums);
      expect(text).not.toMatch(/× 3\b/);
    });

    it("says that there are more than ten lines, where the invoice does not say how many", async () => {
      const ten = Array.from({ length: 10 }, (_, at) => line(100 + at, { description: `Item ${at}` }));
      const list = { object: "list", data: ten, has_more: true };
      const text = await receiptOf(
        paid(ten, { lines: list, subtotal: 5000, total: 5000, amount_due: 5000, amount_paid: 5000 }),
      );
      expect(text).toContain(more);
    });

    it("of a one-off invoice calls nothing a plan", async () => {
      const sold = line(5000, { description: "Workshop" });
      const text = await receiptOf(
        paid([sold], {
          parent: null,
          billing_reason: "manual",
          subtotal: 5000,
          total: 5000,
          amount_due: 5000,
          amount_paid: 5000,
        }),
      );
      expect(text).toContain("Workshop");
      expect(text).not.toMatch(plan);
      expect(text).not.toContain("Studio");
    });
  });

  it("what was paid past Stripe names how, and not the card that was declined", async () => {
    const world = await DunningWorld.open();
    close = () => world.close();
    const somebody = await overdueSubscriber(world);
    await world.stripe.customers.update(somebody.customer, { preferred_locales: [locale] });
    await world.arrive();
    const before = world.inbox.emails().length;
    const open = await openInvoice(world, somebody);
    await world.stripe.invoices.pay(String(open.id), { paid_out_of_band: true });
    await world.arrive();
    await world.passTime(new Date(world.now.getTime() + 3_600_000));
    await world.deliver();
    const [mail, ...others] = world.inbox.emails().slice(before);
    expect(others).toEqual([]);
    expect(mail?.text).not.toMatch(/••••|Visa|Mastercard/);
    expect(mail?.text).toContain(method);
  });
});
