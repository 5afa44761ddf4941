import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { DAY, DunningWorld, HOUR } from "../../support/dunning-world.ts";
import { caseOf, newSubscriber, openInvoice } from "./overdue.ts";

// A debt is a debt whichever of the events about it is missing: whatever else tells of the failure opens its case.

/** 2026-06-01T10:00:00Z, when the last attempt failed. */
const FAILED = 1_780_308_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

let events = 0;
let people = 0;

async function tell(type: string, object: object, at = FAILED): Promise<void> {
  const event = {
    id: `evt_failure_${++events}`,
    object: "event",
    type,
    created: at,
    livemode: false,
    data: { object },
  };
  const outcome = await database.receive(event, new Date((FAILED + 5) * 1000));
  if (outcome !== "processed") throw new Error(`${type}: ${outcome}`);
}

/** What Stripe tells of somebody whose last attempt has failed, but for invoice.payment_failed. */
function somebody() {
  const name = `silent${++people}`;
  const [customer, subscription, invoice, intent] = [
    `cus_${name}`,
    `sub_${name}`,
    `in_${name}`,
    `pi_${name}`,
  ];
  return {
    customer,
    subscription,
    /** Of the subscription, or (`parent: null`) of none. */
    tellsOfInvoice: (change: object = {}, type = "updated", at = FAILED) =>
      tell(
        `invoice.${type}`,
        {
          id: invoice,
          object: "invoice",
          customer,
          status: "open",
          collection_method: "charge_automatically",
          billing_reason: "subscription_cycle",
          currency: "eur",
          amount_due: 2000,
          amount_remaining: 2000,
          amount_paid: 0,
          attempt_count: 4,
          attempted: true,
          next_payment_attempt: null,
          created: FAILED - 14 * 86_400,
          status_transitions: { finalized_at: FAILED - 14 * 86_400 + 3600 },
          parent: { type: "subscription_details", subscription_details: { subscription } },
          payments: {
            data: [{ status: "open", payment: { type: "payment_intent", payment_intent: intent } }],
          },
          ...change,
        },
        at,
      ),
    tellsOfSubscription: (change: object, at = FAILED) =>
      tell(
        "customer.subscription.updated",
        {
          id: subscription,
          object: "subscription",
          customer,
          latest_invoice: invoice,
          created: FAILED - 60 * 86_400,
          items: { data: [{ id: `si_${name}`, price: { id: "price_pro", product: "prod_pro" } }] },
          ...change,
        },
        at,
      ),
    tellsOfPayment: (type: string, change: object, at = FAILED) =>
      tell(
        `payment_intent.${type}`,
        {
          id: intent,
          object: "payment_intent",
          customer,
          amount: 2000,
          currency: "eur",
          created: at,
          ...change,
        },
        at,
      ),
    tellsOfCharge: () =>
      tell("charge.failed", {
        id: `ch_${name}`,
        object: "charge",
        customer,
        invoice,
        payment_intent: null,
        amount: 2000,
        amount_captured: 0,
        currency: "eur",
        status: "failed",
        failure_code: "card_declined",
        created: FAILED,
      }),
  };
}
type Somebody = ReturnType<typeof somebody>;

const casesOf = async ({ customer }: Somebody) =>
  (
    await database.sql<{ shown: string }[]>`
      select concat_ws(' ', c.status, c.outcome) as shown
      from billing.dunning_cases as c where c.customer = ${customer} order by c.id`
  ).map(({ shown }) => shown);

const declined = { status: "requires_payment_method", last_payment_error: { code: "card_declined" } };
const paused = (type: string) => ({
  status: "paused",
  status_details: { paused: { type: "subscription", subscription: { type } } },
});
const alone = { parent: null, billing_reason: "manual" };

/** What arrives, in either order. */
const WORDS: [string, ((one: Somebody) => Promise<void>)[]][] = [
  [
    "a subscription that is past_due",
    [(one) => one.tellsOfInvoice(), (one) => one.tellsOfSubscription({ status: "past_due" })],
  ],
  [
    "a subscription that is unpaid",
    [(one) => one.tellsOfInvoice(), (one) => one.tellsOfSubscription({ status: "unpaid" })],
  ],
  ...["first_payment_failure", "final_payment_failure"].map((cause): (typeof WORDS)[number] => [
    `a subscription that is paused for ${cause}`,
    [(one) => one.tellsOfInvoice(), (one) => one.tellsOfSubscription(paused(cause))],
  ]),
  [
    "a declined payment, without a subscription",
    [(one) => one.tellsOfInvoice(alone), (one) => one.tellsOfPayment("payment_failed", declined)],
  ],
  [
    "a payment that has to be confirmed",
    [
      (one) => one.tellsOfInvoice(alone),
      (one) => one.tellsOfPayment("requires_action", { status: "requires_action" }),
    ],
  ],
  [
    "a declined charge that names its invoice, as it did before 2025-03-31.basil",
    [(one) => one.tellsOfInvoice({ ...alone, payments: undefined }), (one) => one.tellsOfCharge()],
  ],
  [
    "a declined payment, though nobody told that its subscription is past_due",
    [
      (one) => one.tellsOfInvoice(),
      (one) => one.tellsOfSubscription({ status: "active" }),
      (one) => one.tellsOfPayment("payment_failed", declined),
    ],
  ],
  [
    "the final invoice of a subscription that has ended",
    [
      (one) => one.tellsOfInvoice({ created: FAILED - 10 }),
      (one) => one.tellsOfSubscription({ status: "canceled", ended_at: FAILED - 10 }),
      (one) => one.tellsOfPayment("payment_failed", declined),
    ],
  ],
];

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [index, item] of items.entries())
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest];
}

describe("without invoice.payment_failed, and with no attempt to come, a debt is told by", () => {
  it.each(WORDS)("%s", async (_what, words) => {
    for (const order of permutations(words)) {
      const one = somebody();
      for (const word of order) await word(one);
      expect(await casesOf(one)).toEqual(["open"]);
    }
  });

  it("and its payer sees it in the banner, and the operator in the overviews", async () => {
    const one = somebody();
    const userId = await database.signUp();
    await tell("customer.created", {
      id: one.customer,
      object: "customer",
      email: "silent@example.com",
      metadata: { owner_id: userId },
    });
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice();
    const owed = await database.asUser(
      userId,
      (sql) => sql`select amount_due::int from billing.my_billing_status(to_timestamp(${FAILED + 60}))`,
    );
    expect(owed).toEqual([{ amount_due: 2000 }]);
    const [shown] = await database.sql`
      select c.overdue_amount::int as customer, s.overdue_amount::int as subscription
      from billing.customer_overview as c join billing.subscription_overview as s on s.customer = c.id
      where c.id = ${one.customer}`;
    expect(shown).toEqual({ customer: 2000, subscription: 2000 });
  });
});

describe("no debt is", () => {
  it("a first attempt whose result is not known, as a debit takes days", async () => {
    const one = somebody();
    await one.tellsOfSubscription({ status: "active" });
    await one.tellsOfInvoice({ attempt_count: 1 });
    expect(await casesOf(one)).toEqual([]);
  });

  it("a payment that is processing, though another invoice made the subscription past_due, until it fails", async () => {
    const one = somebody();
    await one.tellsOfPayment("processing", { status: "processing" }, FAILED - 60);
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice({ attempt_count: 1 });
    expect(await casesOf(one)).toEqual([]);
    await one.tellsOfPayment("payment_failed", declined, FAILED + 1);
    expect(await casesOf(one)).toEqual(["open"]);
  });

  it("one that was never attempted", async () => {
    const one = somebody();
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice({ attempt_count: 0, attempted: false });
    expect(await casesOf(one)).toEqual([]);
  });
});

it.each([
  ["updated", { status: "void" }, "closed voided"],
  ["voided", { status: "void" }, "closed voided"],
  ["updated", { status: "uncollectible" }, "closed uncollectible"],
  ["marked_uncollectible", { status: "uncollectible" }, "closed uncollectible"],
  ["updated", { status: "paid", amount_paid: 2000, amount_remaining: 0 }, "closed recovered"],
  ["payment_succeeded", { status: "paid", amount_paid: 2000, amount_remaining: 0 }, "closed recovered"],
])(
  "any one event that tells of the end of a debt closes its case: invoice.%s, %o",
  async (type, change, expected) => {
    const one = somebody();
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice();
    await one.tellsOfInvoice(change, type, FAILED + 3);
    expect(await casesOf(one)).toEqual([expected]);
  },
);

describe("where no event reports it, the daily run reads the invoice from Stripe", () => {
  /** Somebody whose renewal was attempted while none of those events arrived; a day later. */
  async function silent(world: DunningWorld, isLost: (type: string) => boolean, outcome?: string) {
    const somebody = await newSubscriber(world);
    if (outcome !== undefined) await world.breakCard(somebody, outcome);
    world.arrives = ({ type }) => !isLost(type);
    await world.renew(somebody);
    const knownCase = await caseOf(world, somebody.subscription);
    await world.passTime(new Date(world.now.getTime() + DAY + HOUR));
    await world.run();
    return { somebody, knownCase };
  }
  const isAboutTheAttempt = (type: string) =>
    /^(invoice\.(updated|pay|paid)|invoice_payment|payment_intent|charge|customer\.subscription)/.test(type);

  it("and finds that it was declined", async () => {
    const world = await DunningWorld.open();
    const { somebody, knownCase } = await silent(world, isAboutTheAttempt, "insufficient_funds");
    expect(knownCase).toBeUndefined();
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open", amount_due: 2000 });
    await world.close();
  }, 60_000);

  it("or that it was paid", async () => {
    const world = await DunningWorld.open();
    const { somebody } = await silent(world, isAboutTheAttempt);
    const shown = await world.database.sql`
      select distinct status from billing.invoices where subscription = ${somebody.subscription}`;
    expect(shown).toEqual([{ status: "paid" }]);
    await world.close();
  }, 60_000);

  it("once a day for as long as a debit is on its way, and opens no case", async () => {
    const world = await DunningWorld.open(undefined, { debitSeconds: 4 * 86_400 });
    const somebody = await newSubscriber(world);
    const debit = await world.stripe.paymentMethods.create({
      type: "sepa_debit",
      sepa_debit: { iban: "AT611904300234573201" },
      billing_details: { name: "Person", email: "person@example.com" },
    });
    await world.stripe.paymentMethods.attach(debit.id, { customer: somebody.customer });
    await world.stripe.customers.update(somebody.customer, {
      invoice_settings: { default_payment_method: debit.id },
    });
    world.arrives = ({ type }) => !type.startsWith("payment_intent");
    await world.renew(somebody);
    const { id } = await openInvoice(world, somebody);
    await world.passTime(new Date(world.now.getTime() + DAY + HOUR));
    await world.run();
    await world.run();
    const reads = await world.database.sql`
      select status from billing.outbox where dedupe_key like ${`silent:${id}:%`}`;
    expect(reads).toEqual([{ status: "delivered" }]);
    expect(await caseOf(world, somebody.subscription)).toBeUndefined();
    const [payment] = await world.database
      .sql`select status from billing.payments where invoice_id = ${String(id)}`;
    expect(payment).toEqual({ status: "processing" });
    await world.close();
  }, 60_000);
});
