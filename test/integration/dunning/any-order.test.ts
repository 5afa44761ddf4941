import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const DAY = 86_400;
/** 2026-06-01T10:00:00Z, when the payment failed. */
const FAILED = 1_780_308_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await tell("product.created", FAILED - 90 * DAY, {
    id: "prod_pro",
    object: "product",
    name: "Pro",
    active: true,
    metadata: { features: "export" },
  });
  await database.sql`
    select billing.define_dunning_policy(
      'patient', '[{"day": 0, "kind": "notice"}, {"day": 14, "kind": "urgent_reminder"}]', 'leave'
    )`;
  await database.sql`select billing.assign_dunning_policy('product', 'prod_pro', 'patient')`;
});
afterAll(() => database.drop());

let events = 0;
let people = 0;

async function tell(type: string, created: number, object: object): Promise<void> {
  const event = {
    id: `evt_order_${++events}`,
    object: "event",
    type,
    created,
    livemode: false,
    data: { object },
  };
  const outcome = await database.receive(event, new Date(Math.max(created, FAILED) * 1000));
  if (outcome !== "processed") throw new Error(`${type}: ${outcome}`);
}

/** What Stripe tells of somebody; each may be the last to arrive. */
function somebody() {
  const name = `someone${++people}`;
  const [customer, subscription, invoice] = [`cus_${name}`, `sub_${name}`, `in_${name}`];
  return {
    customer,
    subscription,
    invoice,
    tellsOfCustomer: (userId: string) =>
      tell("customer.created", FAILED - 60 * DAY, {
        id: customer,
        object: "customer",
        email: `${name}@example.com`,
        metadata: { owner_id: userId },
      }),
    tellsOfSubscription: (change: object = {}, at = FAILED) =>
      tell("customer.subscription.updated", at, {
        id: subscription,
        object: "subscription",
        customer,
        status: "active",
        latest_invoice: invoice,
        created: FAILED - 60 * DAY,
        items: { data: [{ id: `si_${name}`, price: { id: "price_pro", product: "prod_pro" }, quantity: 1 }] },
        ...change,
      }),
    tellsOfInvoice: (change: object = {}, type = "payment_failed", at = FAILED) =>
      tell(`invoice.${type}`, at, {
        id: invoice,
        object: "invoice",
        customer,
        status: "open",
        collection_method: "charge_automatically",
        billing_reason: "subscription_cycle",
        currency: "eur",
        amount_due: 2000,
        amount_remaining: 2000,
        attempt_count: 1,
        created: at,
        parent: { type: "subscription_details", subscription_details: { subscription } },
        ...change,
      }),
  };
}
type Somebody = ReturnType<typeof somebody>;

const casesOf = async ({ customer }: Somebody) =>
  (
    await database.sql<{ shown: string }[]>`
      select concat_ws(' ', p.name, c.status, c.outcome) as shown
      from billing.dunning_cases as c join billing.dunning_policies as p on p.id = c.policy_id
      where c.customer = ${customer} order by c.id`
  ).map(({ shown }) => shown);
const checksOf = async ({ customer }: Somebody) =>
  (
    await database.sql`
      select dedupe_key from billing.outbox where kind = 'dunning' and payload ->> 'customer' = ${customer}`
  ).length;
const readsOf = async ({ subscription }: Somebody) =>
  (
    await database.sql`
      select id from billing.outbox where kind = 'refresh' and payload ->> 'id' = ${subscription}`
  ).length;
const mayExport = async (userId: string) =>
  (
    await database.sql`select feature from billing.entitlements where owner_id = ${userId} and feature = 'export'`
  ).length === 1;

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [index, item] of items.entries())
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest];
}
const orders = [...permutations(["customer", "subscription", "invoice"])];

describe("whichever becomes known last", () => {
  it.each(orders)(
    "%s, %s, %s: a case opens with it, by the policy of what is subscribed to, and access stays",
    async (...order) => {
      const one = somebody();
      const userId = await database.signUp();
      for (const what of order) {
        if (what === "customer") await one.tellsOfCustomer(userId);
        else if (what === "subscription") await one.tellsOfSubscription({ status: "unpaid" });
        else await one.tellsOfInvoice();
      }
      expect(await casesOf(one)).toEqual(["patient open"]);
      expect(await checksOf(one)).toBe(1);
      expect(await mayExport(userId)).toBe(true);
    },
  );

  it("a subscription that no event has shown is read from Stripe, and the read opens the case", async () => {
    const one = somebody();
    await one.tellsOfInvoice();
    expect([await casesOf(one), await readsOf(one)]).toEqual([[], 1]);
    const read = {
      id: one.subscription,
      object: "subscription",
      customer: one.customer,
      status: "past_due",
      items: { data: [{ id: "si_read", price: { id: "price_pro", product: "prod_pro" } }] },
    };
    await database.asService(
      (sql) =>
        sql`select billing.apply_refresh(${sql.json(read)}, to_timestamp(${FAILED + 5}), to_timestamp(${FAILED + 5}))`,
    );
    expect(await casesOf(one)).toEqual(["patient open"]);
  });

  it("what a deleted customer leaves unpaid opens none", async () => {
    const one = somebody();
    await tell("customer.deleted", FAILED + 60, { id: one.customer, object: "customer" });
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice();
    expect(await casesOf(one)).toEqual([]);
  });

  it("an older invoice that becomes known later moves the anchor of the case it joins", async () => {
    const one = somebody();
    await one.tellsOfSubscription({ status: "past_due" });
    await one.tellsOfInvoice();
    await one.tellsOfInvoice({ id: `${one.invoice}_before` }, "payment_failed", FAILED - 30 * DAY);
    const [shown] = await database.sql`
      select extract(epoch from anchor_at)::int as anchor, amount_due::int as due
      from billing.dunning_cases where customer = ${one.customer}`;
    expect(shown).toEqual({ anchor: FAILED - 30 * DAY, due: 4000 });
  });
});

describe("an update of the subscription that was declined", () => {
  const pending = { pending_update: { expires_at: FAILED + 23 * 3600, subscription_items: [] } };
  const ofUpdate = { billing_reason: "subscription_update", next_payment_attempt: null };

  it.each(["invoice first", "subscription first"])("is no debt (%s)", async (order) => {
    const one = somebody();
    const userId = await database.signUp();
    await one.tellsOfCustomer(userId);
    if (order === "invoice first") await one.tellsOfInvoice(ofUpdate);
    await one.tellsOfSubscription(pending);
    if (order !== "invoice first") await one.tellsOfInvoice(ofUpdate);
    expect(await casesOf(one)).toEqual([]);
    expect(await checksOf(one)).toBe(0);
    const owed = await database.asUser(
      userId,
      (sql) => sql`
      select * from billing.my_billing_status(to_timestamp(${FAILED + 60}))`,
    );
    expect(owed).toEqual([]);
    const run = await database.asService(
      (sql) =>
        sql`select billing.take_dunning_steps(${one.customer}, '{}', to_timestamp(${FAILED + DAY})) as took`,
    );
    expect(run[0]?.took).toMatchObject({ opened: 0, mails: 0 });
    // Stripe voids it in the end.
    await one.tellsOfInvoice({ ...ofUpdate, status: "void" }, "voided", FAILED + 23 * 3600);
    expect(await casesOf(one)).toEqual([]);
  });

  it("nor is it beside a debt, while Stripe waits for its payment", async () => {
    const one = somebody();
    await one.tellsOfSubscription({ ...pending, status: "past_due" });
    await one.tellsOfInvoice(ofUpdate);
    expect(await casesOf(one)).toEqual([]);
  });

  it.each(["past_due", "unpaid"])(
    "is a debt where the update stands and the subscription is %s, and from then on",
    async (status) => {
      const one = somebody();
      await one.tellsOfInvoice(ofUpdate);
      await one.tellsOfSubscription({ status: "active" }, FAILED - 1);
      expect(await casesOf(one)).toEqual([]);
      await one.tellsOfSubscription({ status }, FAILED + 1);
      expect(await casesOf(one)).toEqual(["patient open"]);
    },
  );

  it("closes the case that was open about it, with nothing recovered and its mail canceled; and may be a debt again", async () => {
    const one = somebody();
    await one.tellsOfSubscription({ status: "past_due" }, FAILED - 2);
    await one.tellsOfInvoice(ofUpdate);
    await database.sql`
      insert into billing.customers (id, email) values (${one.customer}, 'someone@example.com') on conflict do nothing`;
    const checked = [one.customer, one.subscription, one.invoice];
    await database.asService(
      (sql) =>
        sql`select billing.take_dunning_steps(${one.customer}, ${checked}, to_timestamp(${FAILED + 1}))`,
    );
    await one.tellsOfSubscription(pending, FAILED + 2);
    expect(await casesOf(one)).toEqual(["patient closed not_owed"]);
    const mails = await database.sql`
      select status from billing.outbox where kind = 'email' and payload ->> 'customer' = ${one.customer}`;
    expect(mails.map(({ status }) => status)).toEqual(["canceled"]);
    await one.tellsOfSubscription({ status: "past_due" }, FAILED + 3);
    expect(await casesOf(one)).toEqual(["patient closed not_owed", "patient open"]);
  });
});
