import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import { charge, paymentIntent, paymentMethod } from "../../support/stripe/payments.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const alone = {
  ...charge({ id: "ch_ExampleAlone", created: NOW, amount: 900, customer: null }),
  payment_intent: null,
};
const paymentOf = async (name: string, columns = "amount_received::integer as received, status, outcome") =>
  (await database.sql.unsafe(`select ${columns} from billing.payments where id like '%\\_${name}%'`))[0];

describe("a charge", () => {
  it("of a version before 2015-02-18 was paid and not succeeded, and before that only said so by a boolean", async () => {
    const { status: _status, ...without } = { ...alone, paid: true };
    for (const shape of [{ ...alone, status: "paid" }, without])
      expect(await paymentOf(await deliver(database, [told("charge.succeeded", NOW, shape)]))).toEqual({
        received: 900,
        status: "succeeded",
        outcome: "paid",
      });
    const failed = await deliver(database, [told("charge.failed", NOW, { ...without, paid: false })]);
    expect(await paymentOf(failed)).toEqual({ received: 0, status: "failed", outcome: "failed" });
  });

  it("that was only reserved and is let go is canceled, in any order and with no PaymentIntent", async () => {
    const held = { ...alone, captured: false, amount_captured: 0 };
    const released = { ...held, refunded: true, amount_refunded: 900 };
    const events = [told("charge.succeeded", NOW, held), told("charge.refunded", NOW + 60, released)];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentOf(name)).toEqual({ received: 0, status: "canceled", outcome: "canceled" });
  });

  const details = (type: string, values: object) => ({
    payment_method_details: { type, [type]: values },
    source: null,
  });
  const visa = { brand: "visa", last4: "4242" };
  it.each([
    ["a card", details("card", visa), ["card", "visa", "4242"]],
    ["a card at a terminal", details("card_present", visa), ["card_present", "visa", "4242"]],
    [
      "an Interac card at a terminal",
      details("interac_present", { ...visa, brand: "interac" }),
      ["interac_present", "interac", "4242"],
    ],
    ["a bank account", details("us_bank_account", { last4: "6789" }), ["us_bank_account", null, null]],
    [
      "a wallet with digits of an account",
      details("sepa_debit", { last4: "3000" }),
      ["sepa_debit", null, null],
    ],
    [
      "a bank account of before payment methods",
      { payment_method_details: null, source: { object: "bank_account", id: "ba_Example", last4: "6789" } },
      ["ach_debit", null, null],
    ],
    [
      "a card of before payment methods",
      {
        payment_method_details: null,
        source: { object: "card", id: "card_Example", brand: "American Express", last4: "0005" },
      },
      ["card", "amex", "0005"],
    ],
    [
      "a card of before sources",
      {
        payment_method_details: null,
        source: undefined,
        card: { object: "card", id: "card_Example", brand: "Visa", last4: "4242" },
      },
      ["card", "visa", "4242"],
    ],
    [
      "a Source that holds a card",
      {
        payment_method_details: null,
        source: { object: "source", id: "src_Example", type: "card", card: { brand: "Visa", last4: "4242" } },
      },
      ["card", "visa", "4242"],
    ],
    [
      "a Source that asked the card's bank",
      {
        payment_method_details: null,
        source: {
          object: "source",
          id: "src_Example",
          type: "three_d_secure",
          three_d_secure: { brand: "Visa", last4: "3220" },
        },
      },
      ["card", "visa", "3220"],
    ],
    [
      "a Source that holds an account",
      {
        payment_method_details: null,
        source: { object: "source", id: "src_Example", type: "sepa_debit", sepa_debit: { last4: "3000" } },
      },
      ["sepa_debit", null, null],
    ],
  ])("paid by %s says so, and keeps digits of cards only", async (_what, shape, [type, brand, last4]) => {
    const name = await deliver(database, [told("charge.succeeded", NOW, { ...alone, ...shape })]);
    expect(
      await paymentOf(name, "payment_method_type as type, card_brand as brand, card_last4 as last4"),
    ).toEqual({
      type,
      brand,
      last4,
    });
  });
});

it.each([
  ["requires_source", "requires_payment_method"],
  ["requires_source_action", "requires_action"],
])("a PaymentIntent of a version before 2019-02-11 that is %s is %s", async (old, status) => {
  const intent = paymentIntent({ id: "pi_ExampleOld", created: NOW, amount: 900, customer: null });
  const name = await deliver(database, [
    told("payment_intent.payment_failed", NOW, { ...intent, status: old }),
  ]);
  expect(await paymentOf(name)).toEqual({ received: 0, status, outcome: "pending" });
});

it("a payment method of a card at a terminal has its brand, digits and expiry", async () => {
  const { card, ...rest } = paymentMethod({
    id: "pm_ExampleTerminal",
    created: NOW,
    customer: "cus_ExampleAda",
  });
  const name = await deliver(database, [
    told("payment_method.attached", NOW, { ...rest, type: "card_present", card_present: card }),
  ]);
  const [row] = await database.sql`
    select type, card_brand, card_last4, card_exp_month is not null as expires from billing.payment_methods
    where id = ${`pm_${name}Terminal`}
  `;
  expect(row).toEqual({ type: "card_present", card_brand: "visa", card_last4: "4242", expires: true });
});
