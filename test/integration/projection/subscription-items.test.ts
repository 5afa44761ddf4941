import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SubscriptionItem } from "../../../scripts/local/stripe/core/wire.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, readsOwed, told } from "../../support/orders.ts";
import { price } from "../../support/stripe/catalogue.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;
const MONTH = 30 * 86_400;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const monthly = price({ id: "price_ExampleMonthly", created: NOW, product: "prod_ExampleTeam" });

const item = (id: string, values: Partial<SubscriptionItem> = {}) =>
  subscriptionItem({
    id: `si_Example${id}`,
    created: NOW,
    subscription: "sub_ExampleTeam",
    price: monthly,
    current_period_start: NOW,
    current_period_end: NOW + MONTH,
    ...values,
  });
const team = (...items: SubscriptionItem[]) =>
  subscription({ id: "sub_ExampleTeam", created: NOW, customer: "cus_ExampleAda", items });

const itemsOf = async (name: string) =>
  (
    await database.sql<{ id: string; quantity: string | null }[]>`
      select id, quantity from billing.subscription_items where subscription = ${`sub_${name}Team`} order by id
    `
  ).map(({ id, quantity }) => `${id.replace(name, "")} ${quantity}`);

describe("a subscription's items", () => {
  it("are those of its newest snapshot: added, changed and removed with it", async () => {
    const [before, after] = [
      team(item("Seats"), item("Storage")),
      team(item("Seats", { quantity: 4 }), item("Extra")),
    ];
    const events = [
      told("customer.subscription.created", NOW, before),
      told("customer.subscription.updated", NOW + 1, after, before),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await itemsOf(name)).toEqual(["si_Extra 1", "si_Seats 4"]);
  });

  it("that a cut-off list leaves out are kept, and the rest is asked of Stripe", async () => {
    const whole = team(item("Seats"), item("Storage"));
    const cut = {
      ...team(item("Seats", { quantity: 9 })),
      items: { ...team(item("Seats", { quantity: 9 })).items, has_more: true },
    };
    const name = await deliver(database, [
      told("customer.subscription.created", NOW, whole),
      told("customer.subscription.updated", NOW + 1, cut, whole),
    ]);
    expect(await itemsOf(name)).toEqual(["si_Seats 9", "si_Storage 1"]);
    const id = `sub_${name}Team`;
    expect(await readsOwed(database, id)).toEqual([
      { key: `refresh:${id}:${NOW + 1}`, payload: { id, object: "subscription" } },
    ]);
  });

  it("give the subscription the period of the one that renews first", async () => {
    const yearly = item("Yearly", { current_period_end: NOW + 12 * MONTH });
    const weekly = item("Weekly", { current_period_start: NOW + 60, current_period_end: NOW + 7 * 86_400 });
    const name = await deliver(database, [told("customer.subscription.created", NOW, team(yearly, weekly))]);
    const [row] = await database.sql`
      select current_period_start as start, current_period_end as "end" from billing.subscriptions where id = ${`sub_${name}Team`}
    `;
    expect(row).toEqual({ start: new Date((NOW + 60) * 1000), end: new Date((NOW + 7 * 86_400) * 1000) });
  });

  it("without a quantity are metered, and none at all is no error", async () => {
    const metered = item("Metered");
    delete metered.quantity;
    const name = await deliver(database, [
      told("customer.subscription.created", NOW, team(metered)),
      told("customer.subscription.updated", NOW, { ...team(), items: null }),
    ]);
    expect(await database.sql`select event_id from billing.failed_webhooks`).toEqual([]);
    expect(await itemsOf(name)).toEqual([]);
  });
});
