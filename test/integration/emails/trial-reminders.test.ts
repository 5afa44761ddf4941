import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { NEWEST } from "../../support/old-shapes.ts";
import { price } from "../../support/stripe/catalogue.ts";
import { type StripeEvent, stripeEvent } from "../../support/stripe/events.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";
import { startSubscriber, subscribed } from "./subscriber.ts";

const DAY = 86_400;
/** 2026-10-01T09:00:00Z */
const NOW = 1_790_845_200;
const seconds = (at: number) => new Date(at * 1000);

let database: TestDatabase;
let events = 0;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const plan = (values: object = {}) =>
  price({
    id: "price_Trial",
    created: NOW - 90 * DAY,
    product: "prod_Trial",
    unit_amount: 2000,
    ...values,
  } as never);
function trialing(endsAt: number, values: object = {}, item: object = {}) {
  const begun = endsAt - 14 * DAY;
  return subscription({
    id: "sub_Trial",
    created: begun,
    customer: "cus_Trial",
    status: "trialing",
    trial_start: begun,
    trial_end: endsAt,
    items: [
      subscriptionItem({
        id: "si_Trial",
        created: begun,
        subscription: "sub_Trial",
        price: plan(),
        current_period_start: begun,
        current_period_end: endsAt,
        ...item,
      } as never),
    ],
    ...values,
  } as never);
}
async function send(type: string, created: number, object: object): Promise<void> {
  const event = stripeEvent({
    id: `evt_Trial${++events}`,
    type,
    created,
    api_version: NEWEST,
    object: object as StripeEvent["data"]["object"],
  });
  expect(await database.receive(event, seconds(created + 1))).toBe("processed");
}
const reminders = async () =>
  (
    await database.sql<{ props: { daysLeft: number; price: object | null; trialEnd: string } }[]>`
      select payload -> 'props' as props from billing.outbox where payload ->> 'template' = 'trial-ending' order by id
    `
  ).map(({ props }) => props);
const look = async (at: number) => {
  await database.sql`select billing_private.enqueue_due_trial_reminders(${seconds(at)})`;
};

describe("the reminder of a trial that ends", () => {
  it("is enqueued when Stripe announces it, three days before, and once", async () => {
    const ends = NOW + 3 * DAY;
    await send("customer.subscription.created", NOW - 11 * DAY, trialing(ends));
    await look(NOW - DAY);
    expect(await reminders()).toEqual([]);
    await send("customer.subscription.trial_will_end", NOW, trialing(ends));
    await look(NOW + 3600);
    expect(await reminders()).toMatchObject([{ daysLeft: 3 }]);
  });

  it("comes seven days before where settings say so, and is not said again when Stripe announces it", async () => {
    await database.sql`update billing.settings set trial_reminder_days = 7`;
    const ends = NOW + 7 * DAY;
    await send("customer.subscription.created", NOW - 7 * DAY, trialing(ends));
    await look(NOW - 3600);
    expect(await reminders()).toEqual([]);
    await look(NOW);
    await send("customer.subscription.trial_will_end", ends - 3 * DAY, trialing(ends));
    expect(await reminders()).toMatchObject([{ daysLeft: 7, price: { amount: 2000 } }]);
  });

  it("waits for its day where settings want it later than Stripe announces it", async () => {
    await database.sql`update billing.settings set trial_reminder_days = 1`;
    const ends = NOW + 3 * DAY;
    await send("customer.subscription.created", NOW - 11 * DAY, trialing(ends));
    await send("customer.subscription.trial_will_end", NOW, trialing(ends));
    expect(await reminders()).toEqual([]);
    await look(ends - DAY);
    expect(await reminders()).toMatchObject([{ daysLeft: 1 }]);
  });

  it("does not come where the trial was ended at once, nor after its end", async () => {
    await send("customer.subscription.created", NOW - 11 * DAY, trialing(NOW + 3 * DAY));
    // Stripe announces an end by hand in the second of the end.
    await send("customer.subscription.trial_will_end", NOW, trialing(NOW));
    await look(NOW + 60);
    expect(await reminders()).toEqual([]);
  });

  it("is sent again where the trial was extended", async () => {
    const ends = NOW + 3 * DAY;
    await send("customer.subscription.created", NOW - 11 * DAY, trialing(ends));
    await send("customer.subscription.trial_will_end", NOW, trialing(ends));
    await send("customer.subscription.updated", NOW + DAY, trialing(ends + 10 * DAY));
    await send("customer.subscription.trial_will_end", ends + 7 * DAY, trialing(ends + 10 * DAY));
    expect(await reminders()).toHaveLength(2);
  });
});

describe("the price that is named", () => {
  const coupon = (values: object) => ({
    id: "co_Half",
    object: "coupon",
    percent_off: null,
    amount_off: null,
    ...values,
  });
  const discount = (values: object, end: number | null = null) => ({
    id: "di_Half",
    object: "discount",
    end,
    source: { type: "coupon", coupon: coupon(values) },
  });
  const ends = NOW + 3 * DAY;

  it.each<[string, object, object, object | null]>([
    ["a price per seat", {}, { quantity: 3 }, { amount: 6000 }],
    ["half off", { discounts: [discount({ percent_off: 50 })] }, {}, { amount: 1000 }],
    ["all off", { discounts: [discount({ percent_off: 100 })] }, {}, { amount: 0 }],
    ["an amount off", { discounts: [discount({ amount_off: 500, currency: "eur" })] }, {}, { amount: 1500 }],
    [
      "a discount that is over by then",
      { discounts: [discount({ percent_off: 50 }, ends - 60)] },
      {},
      { amount: 2000 },
    ],
    ["a discount of which only the id is told", { discounts: ["di_Half"] }, {}, null],
    [
      "a discount for some products",
      { discounts: [discount({ percent_off: 50, applies_to: { products: ["prod_X"] } })] },
      {},
      null,
    ],
    ["a discount of a single item", {}, { discounts: ["di_Item"] }, null],
    [
      "packages",
      {},
      {
        quantity: 250,
        price: plan({ unit_amount: 1000, transform_quantity: { divide_by: 100, round: "up" } }),
      },
      { amount: 3000 },
    ],
    [
      "a metered price",
      {},
      { price: plan({ recurring: { interval: "month", interval_count: 1, usage_type: "metered" } }) },
      null,
    ],
    [
      "tiers that nobody was told of",
      {},
      {
        price: plan({
          unit_amount: null,
          unit_amount_decimal: null,
          billing_scheme: "tiered",
          tiers_mode: "graduated",
        }),
      },
      null,
    ],
    [
      "tax on top",
      { automatic_tax: { enabled: true } },
      { price: plan({ tax_behavior: "exclusive" }) },
      { amount: 2000, plusTax: true },
    ],
    [
      "tax within",
      { automatic_tax: { enabled: true } },
      { price: plan({ tax_behavior: "inclusive" }) },
      { amount: 2000 },
    ],
  ])("with %s is what will be charged, or none", async (_what, values, item, expected) => {
    await send("customer.subscription.created", NOW - 11 * DAY, trialing(ends, values, item));
    await send("customer.subscription.trial_will_end", NOW, trialing(ends, values, item));
    const [reminder] = await reminders();
    if (expected === null) expect(reminder?.price).toBeNull();
    else
      expect(reminder?.price).toEqual({ currency: "eur", interval: "month", intervalCount: 1, ...expected });
  });
});

describe.each([
  {
    locale: "en-IE",
    says: [
      "Your trial ends on 4 October 2026",
      "we’ll charge your Visa ending in 4242",
      "€24.50 per month",
      "you can cancel any time before that date",
    ],
  },
  {
    locale: "de",
    says: [
      "Ihr Testzeitraum endet am 4. Oktober 2026",
      "Visa mit den Endziffern 4242",
      "24,50 € pro Monat",
      "kündigen Sie einfach vor diesem Tag",
    ],
  },
])("in the inbox, in $locale,", ({ locale, says }) => {
  it("the reminder names what will be charged with a coupon, to what, on which day, and how to cancel", async () => {
    const ada = await startSubscriber(locale);
    const half = { id: "co_Half", object: "coupon", percent_off: 50, amount_off: null };
    const trial = {
      ...subscribed({ status: "trialing", trial_start: NOW - 11 * DAY, trial_end: NOW + 3 * DAY } as never),
      discounts: [{ id: "di_Half", object: "discount", end: null, source: { type: "coupon", coupon: half } }],
    };
    await ada.tell("customer.subscription.created", NOW - 11 * DAY, trial);
    await ada.tell("customer.subscription.trial_will_end", NOW, trial);
    const [mail, ...others] = await ada.mailsAt(NOW + 60);
    await ada.close();
    expect(others).toEqual([]);
    for (const each of says) expect(mail?.text).toContain(each);
    expect(mail?.text).toContain("Studio");
  });
});
