import type { JSONValue } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, newName, readsOwed, told } from "../../support/orders.ts";
import { product } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import { invoice } from "../../support/stripe/invoices.ts";
import { subscription } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;
const time = (seconds: number) => new Date(seconds * 1000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Applies an object as it was read from Stripe at a time. */
async function read(object: object, at: number): Promise<void> {
  await database.asService(
    (sql) => sql`select billing.apply_refresh(${sql.json(object as JSONValue)}, to_timestamp(${at}))`,
  );
}

const ada = customer({ id: "cus_ExampleAda", created: NOW, name: "Ada" });
const stub = { id: ada.id, object: "customer", deleted: true };
const customerOf = async (name: string) =>
  (await database.sql`select name, deleted_at from billing.customers where id = ${`cus_${name}Ada`}`)[0];

describe("a deleted object", () => {
  it("keeps its row and its last state, and when it went", async () => {
    const created = told("customer.created", NOW, ada);
    const deleted = told("customer.deleted", NOW + 9, { ...ada, name: "Ada, last seen" });
    for (const name of await deliverInEveryOrder(database, [created, deleted]))
      expect(await customerOf(name)).toEqual({ name: "Ada, last seen", deleted_at: time(NOW + 9) });
  });

  it("that Stripe shows by a stub keeps the state it had, also when the stub comes first", async () => {
    const events = [
      told("customer.created", NOW, ada),
      told("customer.updated", NOW + 1, { ...ada, name: "Ada L." }, ada),
      told("customer.deleted", NOW + 9, stub),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await customerOf(name)).toEqual({ name: "Ada L.", deleted_at: time(NOW + 9) });
  });

  it("that Stripe shows by a stub in the second of its last changes keeps the last of them", async () => {
    const events = [
      told("customer.updated", NOW, { ...ada, name: "Bo" }, ada),
      told("customer.updated", NOW, { ...ada, name: "Cleo" }, { ...ada, name: "Bo" }),
      told("customer.deleted", NOW, stub),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await customerOf(name)).toEqual({ name: "Cleo", deleted_at: time(NOW) });
    }
  });

  it("is not brought back by an update that comes late, or that says it is later", async () => {
    const updates = [
      told("customer.updated", NOW + 5, { ...ada, name: "Late" }, ada),
      told("customer.updated", NOW + 9, { ...ada, name: "Same second" }, ada),
      told("customer.updated", NOW + 60, { ...ada, name: "After the end" }, ada),
    ];
    for (const update of updates) {
      const deleted = told("customer.deleted", NOW + 9, ada);
      for (const name of await deliverInEveryOrder(database, [deleted, update]))
        expect(await customerOf(name)).toEqual({ name: "Ada", deleted_at: time(NOW + 9) });
    }
  });

  it("is no longer for sale", async () => {
    const plan = product({ id: "prod_ExamplePlan", created: NOW });
    for (const last of [plan, { id: plan.id, object: "product", deleted: true }]) {
      const events = [told("product.created", NOW, plan), told("product.deleted", NOW + 1, last)];
      for (const name of await deliverInEveryOrder(database, events)) {
        const [row] =
          await database.sql`select active, deleted_at from billing.products where id = ${`prod_${name}Plan`}`;
        expect(row).toEqual({ active: false, deleted_at: time(NOW + 1) });
      }
    }
  });

  it("that was a draft invoice stays on the customer's list as deleted", async () => {
    const draft = invoice({ id: "in_ExampleDraft", created: NOW, customer: ada.id });
    const name = await deliver(database, [
      told("invoice.created", NOW, draft),
      told("invoice.deleted", NOW + 1, { id: draft.id, object: "invoice", deleted: true }),
    ]);
    const [row] = await database.sql`
      select customer, status, deleted_at from billing.invoices where id = ${`in_${name}Draft`}
    `;
    expect(row).toEqual({ customer: `cus_${name}Ada`, status: "draft", deleted_at: time(NOW + 1) });
  });
});

describe("a read that finds an object gone", () => {
  it("does not move the time of a deletion that an event reported, and is itself enough", async () => {
    const created = told("customer.created", NOW, ada);
    const named = newName();
    await deliver(database, [created, told("customer.deleted", NOW + 9, stub)], named);
    await read({ ...stub, id: `cus_${named}Ada` }, NOW + 60);
    expect(await customerOf(named)).toEqual({ name: "Ada", deleted_at: time(NOW + 9) });

    const other = await deliver(database, [created]);
    await read({ ...stub, id: `cus_${other}Ada` }, NOW + 60);
    expect(await customerOf(other)).toEqual({ name: "Ada", deleted_at: time(NOW + 60) });
    await deliver(database, [told("customer.deleted", NOW + 9, stub)], other);
    expect(await customerOf(other)).toEqual({ name: "Ada", deleted_at: time(NOW + 9) });
  });
});

describe("a canceled subscription", () => {
  const plan = subscription({ id: "sub_ExamplePlan", created: NOW, customer: ada.id, items: [] });
  const canceled = { ...plan, status: "canceled" as const, ended_at: NOW + 9 };
  const noted = { ...canceled, metadata: { reason: "moved" } };
  const subscriptionOf = async (name: string) =>
    (
      await database.sql`select status, billing_private.metadata_of(id) as metadata from billing.subscriptions where id = ${`sub_${name}Plan`}`
    )[0];

  it("stays canceled whatever comes late", async () => {
    const events = [
      told("customer.subscription.created", NOW, plan),
      told("customer.subscription.deleted", NOW + 9, canceled),
      told("customer.subscription.updated", NOW + 8, { ...plan, metadata: { late: "1" } }, plan),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await subscriptionOf(name)).toEqual({ status: "canceled", metadata: {} });
  });

  it.each([
    ["later", NOW + 60],
    ["in the same second", NOW + 9],
  ])("may have its metadata edited %s", async (_when, created) => {
    const events = [
      told("customer.subscription.created", NOW, plan),
      told("customer.subscription.deleted", NOW + 9, canceled),
      told("customer.subscription.updated", created, noted, canceled),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await subscriptionOf(name)).toEqual({ status: "canceled", metadata: { reason: "moved" } });
      expect(await readsOwed(database, `sub_${name}Plan`)).toEqual([]);
    }
  });

  it("that was edited there and back in the second it ended is read from Stripe", async () => {
    const events = [
      told("customer.subscription.deleted", NOW + 9, canceled),
      told("customer.subscription.updated", NOW + 9, noted, canceled),
      told("customer.subscription.updated", NOW + 9, canceled, noted),
    ];
    const shown = new Set<string>();
    for (const name of await deliverInEveryOrder(database, events)) {
      const row = await subscriptionOf(name);
      expect(row?.status).toBe("canceled");
      shown.add(JSON.stringify(row));
      expect(await readsOwed(database, `sub_${name}Plan`)).toHaveLength(1);
    }
    expect(shown.size).toBe(1);
  });

  it("shows what is read of it later, whether the read or its end comes first", async () => {
    const ended = told("customer.subscription.deleted", NOW + 9, canceled);
    for (const isReadFirst of [true, false]) {
      const name = newName();
      const now = { ...noted, id: `sub_${name}Plan`, customer: `cus_${name}Ada` };
      if (isReadFirst) await read(now, NOW + 60);
      await deliver(database, [ended], name);
      if (!isReadFirst) await read(now, NOW + 60);
      expect(await subscriptionOf(name)).toEqual({ status: "canceled", metadata: { reason: "moved" } });
    }
  });
});
