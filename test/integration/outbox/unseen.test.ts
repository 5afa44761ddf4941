import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { disputeCharge } from "../../../scripts/local/stripe/buyer.ts";
import { DunningWorld, HOUR } from "../../support/dunning-world.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

async function enqueued(): Promise<string[]> {
  const rows = await world.database.sql<{ key: string }[]>`
    select dedupe_key as key from billing.outbox where dedupe_key like 'unseen:%' order by dedupe_key collate "C"
  `;
  return rows.map(({ key }) => key);
}
async function deliverLater() {
  world.now = new Date(world.now.getTime() + HOUR);
  await world.deliver();
}

describe("an event that names an object that is not known", () => {
  it("enqueues a read of customer, product and price, once each, and they are there", async () => {
    world.arrives = ({ type }) => /^(customer\.subscription|invoice|payment_intent|charge)\./.test(type);
    const { customer, subscription, email } = await world.subscribe();
    await world.arrive();
    const [item] = (await world.stripe.subscriptions.retrieve(subscription)).items.data;
    const product = String(item?.price.product);
    expect(await enqueued()).toEqual([
      `unseen:customer:${customer}`,
      `unseen:price:${item?.price.id}`,
      `unseen:product:${product}`,
    ]);
    await deliverLater();
    const { sql } = world.database;
    expect(await sql`select id, email from billing.customers`).toEqual([{ id: customer, email }]);
    expect(await sql`select id, unit_amount::int from billing.prices`).toEqual([
      { id: item?.price.id, unit_amount: 2000 },
    ]);
    expect(await sql`select id, name from billing.products`).toEqual([
      { id: product, name: "Plan of 2000 usd a month" },
    ]);
    // Their own events come late, and more about them owes nothing more.
    await world.arriveLate();
    await world.stripe.subscriptions.update(subscription, { metadata: { seats: "3" } });
    await world.arrive();
    expect(await enqueued()).toHaveLength(3);
  });

  it("enqueues a read of the payment that a dispute or refund is about, as only that shows whose dunning is held", async () => {
    world.arrives = ({ type }) => /^(charge\.dispute|refund)\./.test(type);
    const { customer } = await world.subscribe();
    const [charge] = (await world.stripe.charges.list({ customer })).data;
    const payment = String(charge?.payment_intent);
    await world.stripe.refunds.create({ charge: String(charge?.id), amount: 100 });
    await disputeCharge(world.stripe, String(charge?.id), "fraudulent");
    await world.arrive();
    expect(await enqueued()).toContain(`unseen:payment_intent:${payment}`);
    await deliverLater();
    const { sql } = world.database;
    expect(await sql`select id, customer, amount_received::int, outcome from billing.payments`).toEqual([
      { id: payment, customer, amount_received: 2000, outcome: "disputed" },
    ]);
    expect(await sql`select billing_private.has_open_dispute(${customer}) as held`).toEqual([{ held: true }]);
  });

  it("enqueues a read of what the lines of an invoice name, in any shape, and of the customer of what has no id", async () => {
    const tell = (type: string, object: object) =>
      world.database.receive({
        id: `evt_${type}`,
        object: "event",
        type,
        created: 1_793_000_000,
        livemode: false,
        data: { object: { livemode: false, ...object } },
      });
    const lines = (...data: object[]) => ({ object: "list", has_more: false, data });
    await tell("invoice.finalized", {
      id: "in_named",
      object: "invoice",
      status: "open",
      customer: null,
      lines: lines(
        { pricing: { type: "price_details", price_details: { price: "price_new", product: "prod_new" } } },
        { pricing: { type: "price_details", price_details: { price: "price_new", product: "prod_new" } } },
        { price: { id: "price_old", product: "prod_old" }, plan: { id: "price_old", product: "prod_old" } },
        { price: null, plan: { id: "gold", product: "prod_gold" } },
        { pricing: null, description: "Consulting" },
      ),
    });
    expect(await enqueued()).toEqual([
      "unseen:price:gold",
      "unseen:price:price_new",
      "unseen:price:price_old",
      "unseen:product:prod_gold",
      "unseen:product:prod_new",
      "unseen:product:prod_old",
    ]);
    await world.database.sql`truncate billing.outbox`;
    await tell("invoice.upcoming", { object: "invoice", customer: "cus_upcoming", lines: lines() });
    await tell("entitlements.active_entitlement_summary.updated", {
      object: "entitlements.active_entitlement_summary",
      customer: "cus_entitled",
      entitlements: lines(),
    });
    expect(await enqueued()).toEqual(["unseen:customer:cus_entitled", "unseen:customer:cus_upcoming"]);
  });

  it("enqueues nothing where all has been seen", async () => {
    await world.subscribe();
    await world.arrive();
    expect(await enqueued()).toEqual([]);
  });

  it("enqueues nothing while it is quarantined, and what it names once it is replayed", async () => {
    const { sql } = world.database;
    await sql`update billing.settings set stripe_account = 'acct_another' where true`;
    const price = await world.price(900, "eur");
    await world.arrive();
    expect(await enqueued()).toEqual([]);
    await sql`update billing.settings set stripe_account = null where true`;
    await sql`
      select billing.replay_failed_webhook(id) from billing.webhook_events where type = 'price.created' and object_id = ${price}
    `;
    expect(await enqueued()).toEqual([expect.stringMatching(/^unseen:product:/)]);
  });

  it("enqueues nothing about a user who was forgotten, or a customer that it says is deleted", async () => {
    const { sql } = world.database;
    await sql`insert into billing_private.forgotten_subjects (subject_id, forgotten_at) values ('cus_forgotten', now())`;
    const tell = (id: string, customer: unknown) =>
      world.database.receive({
        id: `evt_${id}`,
        object: "event",
        type: "invoice.updated",
        created: 1_793_000_000,
        livemode: false,
        data: {
          object: {
            id,
            object: "invoice",
            status: "paid",
            customer,
            livemode: false,
            created: 1_793_000_000,
          },
        },
      });
    await tell("in_forgotten", "cus_forgotten");
    await tell("in_deleted", { id: "cus_deleted", object: "customer", deleted: true });
    expect(await enqueued()).toEqual([]);
    await tell("in_unseen", "cus_unseen");
    expect(await enqueued()).toEqual(["unseen:customer:cus_unseen"]);
  });

  it("enqueues it as well when it was read itself", async () => {
    world.arrives = () => false;
    const { subscription, customer } = await world.subscribe();
    await world.arrive();
    const read = await world.stripe.subscriptions.retrieve(subscription);
    await world.database.asService(
      (sql) => sql`select billing.apply_refresh(${sql.json(read as never)}, ${world.now}, ${world.now})`,
    );
    expect(await enqueued()).toContain(`unseen:customer:${customer}`);
    expect(await enqueued()).toHaveLength(3);
  });
});
