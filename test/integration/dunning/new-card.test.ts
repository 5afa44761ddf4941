import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { replaceCard, setCardOutcome } from "../../../scripts/local/stripe/buyer.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import { caseOf, days, mails, NOTICE, openInvoice, overdueSubscriber, RECOVERED, URGENT } from "./overdue.ts";

let world: DunningWorld;
let somebody: Subscriber;
let invoice: string;
beforeEach(async () => {
  world = await DunningWorld.open();
  somebody = await overdueSubscriber(world);
  invoice = String((await openInvoice(world, somebody)).id);
});
afterEach(() => world.close());

/** Puts another card on file, one that works unless it is told otherwise. */
async function newCard(outcome = "succeed"): Promise<string> {
  const { id } = await world.stripe.paymentMethods.attach("pm_card_mastercard", {
    customer: somebody.customer,
  });
  await setCardOutcome(world.stripe, id, outcome);
  return id;
}
const ofCustomer = (card: string) =>
  world.stripe.customers.update(somebody.customer, { invoice_settings: { default_payment_method: card } });
const ofSubscription = (card: string) =>
  world.stripe.subscriptions.update(somebody.subscription, { default_payment_method: card });
const charges = () =>
  world.local.ledger.requestsWhere({ method: "POST", path: `/v1/invoices/${invoice}/pay`, replayed: false });
async function settle() {
  await world.arrive();
  await world.deliver();
}

describe("what is overdue is charged at once", () => {
  it.each([
    { what: "the customer's new default card", make: ofCustomer },
    { what: "the subscription's", make: ofSubscription },
  ])("to $what, with a key, and all is well", async ({ make }) => {
    await make(await newCard());
    await settle();
    expect(charges()).toMatchObject([
      { idempotencyKey: expect.stringMatching(/^pay:in_.*:pm_/), status: 200 },
    ]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
    await days(world, 4);
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
  });

  it("to a card that the bank has renewed, and again when it renews it again", async () => {
    await replaceCard(world.stripe, somebody.card, { exp_month: 11, exp_year: 2031 });
    await settle();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
    await setCardOutcome(world.stripe, somebody.card, "succeed");
    await replaceCard(world.stripe, somebody.card, { exp_month: 12, exp_year: 2035 });
    await settle();
    expect(charges()).toHaveLength(2);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });
});

describe("nothing is charged", () => {
  it("twice to one card, however often it is made the default, and the ladder goes on where it declines", async () => {
    const [declined, other] = [await newCard("insufficient_funds"), await newCard("insufficient_funds")];
    for (const card of [declined, other, declined, other]) {
      await ofCustomer(card);
      await settle();
    }
    expect(charges()).toHaveLength(2);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
  });

  it("for a customer's new card where the subscription has its own", async () => {
    await ofSubscription(await newCard("insufficient_funds"));
    await settle();
    await ofCustomer(await newCard());
    await settle();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
  });

  it("for a card that is on file and nobody's default", async () => {
    const spare = await newCard();
    await replaceCard(world.stripe, spare);
    await settle();
    expect(charges()).toHaveLength(0);
  });

  it("while collection is paused, nor for a change of anything else", async () => {
    await world.stripe.customers.update(somebody.customer, { name: "Another" });
    await world.stripe.subscriptions.update(somebody.subscription, {
      pause_collection: { behavior: "void" },
    });
    await settle();
    await ofCustomer(await newCard());
    await settle();
    expect(charges()).toHaveLength(0);
  });
});
