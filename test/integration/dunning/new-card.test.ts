import { afterEach, describe, expect, it } from "vitest";
import { giveCardInPortal, replaceCard, setCardOutcome } from "../../../scripts/local/stripe/buyer.ts";
import type { Fault } from "../../../scripts/local/stripe/http/faults.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  alerts,
  asService,
  caseOf,
  days,
  FINAL,
  hours,
  lastText,
  mails,
  NOTICE,
  newSubscriber,
  openInvoice,
  overdueSubscriber,
  RECOVERED,
  stepsOf,
  URGENT,
  wearOut,
} from "./overdue.ts";

let world: DunningWorld;
let somebody: Subscriber;
let invoice: string;
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
const ownDefault = async () =>
  (await world.stripe.subscriptions.retrieve(somebody.subscription)).default_payment_method;
const charges = () =>
  world.local.ledger.requestsWhere({ method: "POST", path: `/v1/invoices/${invoice}/pay`, replayed: false });
const writes = () =>
  world.local.ledger.requestsWhere({ method: "POST", path: `/v1/subscriptions/${somebody.subscription}` });
async function arriveAndDeliver() {
  await world.arrive();
  await world.deliver();
}
const chargesKept = async () =>
  (
    await world.database.sql<{ status: string }[]>`select status from billing.dunning_charges order by id`
  ).map(({ status }) => status);

/** Somebody overdue; `own`: the subscription has a default of its own, as after Checkout. */
async function overdue(own: boolean): Promise<void> {
  world = await DunningWorld.open();
  somebody = await newSubscriber(world);
  if (own) await ofSubscription(somebody.card);
  await world.arrive();
  await world.breakCard(somebody);
  await world.renew(somebody);
  invoice = String((await openInvoice(world, somebody)).id);
}

describe("a charge that comes to nothing", () => {
  const PAYING = { method: "POST", path: /^\/v1\/invoices\/in_\w+\/pay$/ };

  /** A card that works is given, and Stripe has something against charging it, for as many tries as there are. */
  async function chargedInVain(fault: Fault): Promise<void> {
    // Stripe itself goes on with the card that the subscription has of its own.
    await overdue(true);
    world.local.faults.add({ match: PAYING, times: Number.POSITIVE_INFINITY, ...fault });
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    await wearOut(world, "pay:");
    await hours(world, 2);
  }

  it("as Stripe fails time after time, is alerted, holds no step, and is made again before a later one", async () => {
    await chargedInVain({ action: { kind: "error", status: 500 } });
    expect(await chargesKept()).toEqual(["failed"]);
    expect(await alerts(world)).toContain("dead_effect");
    world.local.faults.clear();
    await days(world, 4);
    expect(await chargesKept()).toEqual(["paid"]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
  });

  it("never keeps a case from its end", async () => {
    await chargedInVain({ action: { kind: "error", status: 500 } });
    for (let day = 0; day < 18; day++) {
      await wearOut(world, "pay:");
      await days(world, 1);
    }
    expect(await stepsOf(world, somebody.subscription)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^final_warning sent/), "end done"]),
    );
  });

  it("as Stripe refuses it, is not made again", async () => {
    await chargedInVain({ action: { kind: "error", status: 400, message: "not this one" } });
    expect(await chargesKept()).toEqual(["failed"]);
    const asked = charges().length;
    await days(world, 5);
    expect(charges()).toHaveLength(asked);
    expect(await chargesKept()).toEqual(["failed"]);
  });
});

describe("what is overdue is charged at once", () => {
  it.each([
    { what: "the customer's new default card", own: false, make: ofCustomer },
    { what: "the customer's, beside the subscription's own", own: true, make: ofCustomer },
    { what: "the subscription's own", own: true, make: ofSubscription },
    { what: "the first of the subscription's own", own: false, make: ofSubscription },
  ])("to $what, named and with a key; and from then on", async ({ own, make }) => {
    await overdue(own);
    const card = await newCard();
    await make(card);
    await arriveAndDeliver();
    expect(charges()).toMatchObject([
      {
        idempotencyKey: expect.stringMatching(/^pay:in_.*:pm_/),
        status: 200,
      },
    ]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    expect(await chargesKept()).toEqual(["paid"]);
    // Where the subscription goes by its customer, this card is its default already.
    expect(await ownDefault()).toBe(own || make === ofSubscription ? card : null);
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
    await days(world, 4);
    expect(charges()).toHaveLength(1);
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
  });

  it("as it was given in the portal, whatever comes first of its events", async () => {
    await overdue(true);
    world.arrives = () => false;
    await giveCardInPortal(world.stripe, somebody.customer, "pm_card_mastercard");
    await world.arrive();
    await world.arriveLate(world.late.splice(0).toReversed());
    world.arrives = () => true;
    await arriveAndDeliver();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("also where it was given before anybody knew of the failure", async () => {
    world = await DunningWorld.open();
    somebody = await newSubscriber(world);
    await ofSubscription(somebody.card);
    await world.arrive();
    await world.breakCard(somebody);
    world.arrives = ({ type }) => !type.startsWith("invoice.");
    await world.renew(somebody);
    invoice = String((await openInvoice(world, somebody)).id);
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    expect(charges()).toHaveLength(0);
    world.arrives = () => true;
    await world.arriveLate();
    await arriveAndDeliver();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("where no event reported it: a step reads the customer first, and waits for the charge", async () => {
    await overdue(true);
    world.arrives = ({ type }) => type !== "customer.updated";
    await ofCustomer(await newCard());
    await days(world, 4);
    expect(charges()).toHaveLength(1);
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
  });

  it("to a card that the bank has renewed, and again when it renews it again", async () => {
    await overdue(false);
    await replaceCard(world.stripe, somebody.card, { exp_month: 11, exp_year: 2031 });
    await arriveAndDeliver();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
    await setCardOutcome(world.stripe, somebody.card, "succeed");
    await replaceCard(world.stripe, somebody.card, { exp_month: 12, exp_year: 2035 });
    await arriveAndDeliver();
    expect(charges()).toHaveLength(2);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("for each subscription of a customer, and replaces the default of that which had its own", async () => {
    world = await DunningWorld.open();
    somebody = await newSubscriber(world);
    await ofSubscription(somebody.card);
    const other = await world.addSubscription(somebody.customer, 900, "usd");
    await world.arrive();
    await world.breakCard(somebody);
    await world.renew(somebody);
    const card = await newCard();
    await ofCustomer(card);
    await arriveAndDeliver();
    expect(await chargesKept()).toEqual(["paid", "paid"]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    expect(await caseOf(world, other.id)).toMatchObject({ outcome: "recovered" });
    expect(await ownDefault()).toBe(card);
    expect((await world.stripe.subscriptions.retrieve(other.id)).default_payment_method).toBeNull();
  });

  it("once a hold is released", async () => {
    await overdue(true);
    await asService(
      world,
      "billing.exclude_from_dunning($1, 'talks to us', null, $2)",
      somebody.customer,
      world.now,
    );
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    expect(charges()).toHaveLength(0);
    await asService(world, "billing.release_dunning(null, $1, $2)", somebody.customer, world.now);
    await arriveAndDeliver();
    expect(charges()).toHaveLength(1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });
});

describe("a card that is declined", () => {
  it("moves nothing, and the next reminder says so", async () => {
    await overdue(true);
    await ofCustomer(await newCard("insufficient_funds"));
    await arriveAndDeliver();
    expect(await chargesKept()).toEqual(["declined"]);
    expect(await ownDefault()).toBe(somebody.card);
    expect(writes()).toHaveLength(1); // the test's own
    await days(world, 7);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    expect(await lastText(world, somebody.email, URGENT)).toContain("it was declined as well");
    expect(await lastText(world, somebody.email, NOTICE)).not.toContain("declined as well");
    expect(charges()).toHaveLength(1);
  });

  it("is charged once, however often it is made the default, and so is another", async () => {
    await overdue(false);
    const [declined, other] = [await newCard("insufficient_funds"), await newCard("insufficient_funds")];
    for (const card of [declined, other, declined, other]) {
      await ofCustomer(card);
      await arriveAndDeliver();
    }
    expect(charges()).toHaveLength(2);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    // The one that failed at first, chosen again, is asked once more.
    await setCardOutcome(world.stripe, somebody.card, "succeed");
    await ofCustomer(somebody.card);
    await arriveAndDeliver();
    expect(charges()).toHaveLength(3);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("makes room for the customer's where it was the subscription's own", async () => {
    await overdue(true);
    await ofSubscription(await newCard("insufficient_funds"));
    await arriveAndDeliver();
    const card = await newCard();
    await ofCustomer(card);
    await arriveAndDeliver();
    expect(charges()).toHaveLength(2);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    expect(await ownDefault()).toBe(card);
  });

  it("is no decline where the bank asks the customer to confirm", async () => {
    await overdue(true);
    await ofCustomer(await newCard("authenticate"));
    await arriveAndDeliver();
    expect(await chargesKept()).toEqual(["needs_confirmation"]);
    await days(world, 3);
    expect(await lastText(world, somebody.email, URGENT)).not.toContain("declined as well");
  });
});

describe("nothing is charged", () => {
  it("to a card that is on file and no default, or that was detached before the call", async () => {
    await overdue(true);
    const spare = await newCard();
    await replaceCard(world.stripe, spare);
    await arriveAndDeliver();
    const gone = await newCard();
    world.arrives = ({ type }) => type !== "payment_method.detached";
    await ofCustomer(gone);
    await world.arrive();
    await world.stripe.paymentMethods.detach(gone);
    world.arrives = () => false;
    await arriveAndDeliver();
    expect(charges().filter(({ status }) => status === 200)).toHaveLength(0);
    expect(await chargesKept()).toEqual(["not_wanted"]);
    const dead = await world.database.sql`select id from billing.outbox where status = 'dead'`;
    expect(dead).toHaveLength(0);
  });

  it("while collection is paused, nor for a change of anything else", async () => {
    await overdue(false);
    await world.stripe.customers.update(somebody.customer, { name: "Another" });
    await world.stripe.subscriptions.update(somebody.subscription, {
      pause_collection: { behavior: "void" },
    });
    await arriveAndDeliver();
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    expect(charges()).toHaveLength(0);
  });

  it("while a person holds it, though that comes between the plan and the call; released, it is", async () => {
    await overdue(true);
    await ofCustomer(await newCard());
    await world.arrive();
    const held = (await caseOf(world, somebody.subscription))?.id;
    await asService(world, "billing.hold_dunning($1, 'talks to us', null, $2)", held, world.now);
    await arriveAndDeliver();
    await days(world, 1);
    expect(charges()).toHaveLength(0);
    expect(await chargesKept()).toEqual(["not_wanted"]);
    await asService(world, "billing.release_dunning($1, null, $2)", held, world.now);
    await arriveAndDeliver();
    expect(await chargesKept()).toEqual(["paid"]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("of an invoice that is sent, and nothing is written where nothing is overdue", async () => {
    world = await DunningWorld.open();
    somebody = await newSubscriber(world);
    await ofSubscription(somebody.card);
    const sent = await world.stripe.invoices.create({
      customer: somebody.customer,
      collection_method: "send_invoice",
      days_until_due: 1,
      currency: "usd",
    });
    invoice = String(sent.id);
    await world.stripe.invoiceItems.create({
      customer: somebody.customer,
      invoice,
      amount: 700,
      currency: "usd",
    });
    await world.stripe.invoices.finalizeInvoice(invoice);
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    await days(world, 3);
    await ofCustomer(await newCard());
    await arriveAndDeliver();
    expect(await caseOf(world, invoice)).toMatchObject({ status: "open" });
    expect(charges()).toHaveLength(0);
    expect(await ownDefault()).toBe(somebody.card);
    expect(await chargesKept()).toEqual([]);
  });

  it("once it is paid: what was planned is not wanted any more", async () => {
    await overdue(true);
    await ofCustomer(await newCard());
    await world.arrive();
    await setCardOutcome(world.stripe, somebody.card, "succeed");
    await world.stripe.invoices.pay(invoice);
    world.local.ledger.requests.length = 0;
    await world.deliver();
    expect(charges().filter(({ status }) => status === 200)).toHaveLength(0);
    expect(await chargesKept()).toEqual(["not_wanted"]);
    expect(await ownDefault()).toBe(somebody.card);
  });
});

it("a step waits for a charge that is planned, and is taken once that is declined", async () => {
  world = await DunningWorld.open();
  somebody = await overdueSubscriber(world);
  invoice = String((await openInvoice(world, somebody)).id);
  await days(world, 2);
  await ofCustomer(await newCard("insufficient_funds"));
  await world.arrive();
  const checked = [somebody.customer, somebody.subscription, invoice];
  const later = new Date(world.now.getTime() + 2 * 86_400_000);
  const took = await asService(
    world,
    "billing.take_dunning_steps($1, $2, $3)",
    somebody.customer,
    checked,
    later,
  );
  expect(took).toMatchObject({ held: 1, mails: 0 });
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ holds: ["charging_new_card"] });
  await days(world, 2);
  expect(await stepsOf(world, somebody.subscription)).toEqual(["notice sent", "urgent_reminder sent"]);
});
