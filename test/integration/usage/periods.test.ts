import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder } from "../../support/orders.ts";
import { MONTH, NOW, ownedBy, plan, priced, recordUsage, rowsOf, subscribed } from "./metered.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const open = { is_open: true, used: 0, starts: 0, ends: MONTH };

describe("a billing period", () => {
  it("opens a row for every metric the product limits, whatever arrives first", async () => {
    const user = await database.signUp();
    const events = [
      plan("Pro", { limit_api_calls: "1000", limit_exports: "unlimited", colour: "blue" }),
      priced("Pro"),
      subscribed(),
      ownedBy(user),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await rowsOf(database, name)).toEqual([
        { ...open, metric: "api_calls", usage_limit: 1000, owner_id: user },
        { ...open, metric: "exports", usage_limit: null, owner_id: user },
      ]);
  });

  it("has the price's limit where price and product have one, in every order", async () => {
    const events = [
      plan("Pro", { limit_api_calls: "1000" }),
      priced("Pro", { limit_api_calls: "50" }),
      subscribed(),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await rowsOf(database, name)).toMatchObject([
        { metric: "api_calls", usage_limit: 50, owner_id: null },
      ]);
  });

  it("counts the quantity where the limit is per unit, and adds up items of one period", async () => {
    const name = await deliver(database, [
      plan("Pro", { limit_seats: "3 per unit", limit_api_calls: "1000" }),
      plan("More", { limit_api_calls: "500" }),
      priced("Pro"),
      priced("More"),
      subscribed({
        items: [
          { plan: "Pro", quantity: 4 },
          { plan: "More", quantity: 2 },
        ],
      }),
    ]);
    expect(await rowsOf(database, name)).toMatchObject([
      { metric: "api_calls", usage_limit: 1500 },
      { metric: "seats", usage_limit: 12 },
    ]);
  });

  it("has a row of its own for items with another period", async () => {
    const limits = { limit_api_calls: "1000" };
    const name = await deliver(database, [
      plan("Pro", limits),
      plan("Year", { limit_api_calls: "12000" }),
      subscribed({ items: [{ plan: "Pro" }, { plan: "Year", end: NOW + 12 * MONTH }] }),
    ]);
    expect(await rowsOf(database, name)).toMatchObject([
      { usage_limit: 1000, ends: MONTH },
      { usage_limit: 12_000, ends: 12 * MONTH },
    ]);
    // The monthly one renews; the yearly one stays as it is.
    await deliver(
      database,
      [
        subscribed({
          at: NOW + MONTH,
          items: [
            { plan: "Pro", start: NOW + MONTH, end: NOW + 2 * MONTH },
            { plan: "Year", end: NOW + 12 * MONTH },
          ],
        }),
      ],
      name,
    );
    expect(await rowsOf(database, name)).toMatchObject([
      { usage_limit: 12_000, starts: 0, ends: 12 * MONTH, is_open: true },
      { usage_limit: 1000, starts: MONTH, ends: 2 * MONTH, is_open: true },
    ]);
  });

  it.each([
    ["1,000", "500"],
    ["lots", "500"],
    ["-1", "500"],
    ["10 per seat", "500"],
  ])("takes %j for no limit, and the product's instead", async (unreadable, readable) => {
    const name = await deliver(database, [
      plan("Pro", { limit_api_calls: readable }),
      priced("Pro", { limit_api_calls: unreadable }),
      subscribed(),
    ]);
    expect(await rowsOf(database, name)).toMatchObject([{ usage_limit: 500 }]);
  });

  it("opens none for a subscription that never began", async () => {
    const name = await deliver(database, [
      plan("Pro", { limit_api_calls: "1000" }),
      subscribed({ status: "incomplete" }),
    ]);
    expect(await rowsOf(database, name)).toEqual([]);
    await deliver(database, [subscribed({ at: NOW + 5 })], name);
    expect(await rowsOf(database, name)).toMatchObject([{ usage_limit: 1000 }]);
  });
});

describe("what was used", () => {
  async function usedBy(user: string, used: number): Promise<string> {
    const name = await deliver(database, [
      plan("Pro", { limit_api_calls: "1000" }),
      plan("Max", { limit_api_calls: "5000" }),
      priced("Pro"),
      priced("Max"),
      ownedBy(user),
      subscribed(),
    ]);
    await recordUsage(database, user, "api_calls", used, "first");
    return name;
  }

  it("is kept and measured by the new limit when the plan changes in mid-period, by the same item or another", async () => {
    for (const id of ["0", "another"]) {
      const user = await database.signUp();
      const name = await usedBy(user, 300);
      await deliver(database, [subscribed({ at: NOW + 100, items: [{ plan: "Max", id }] })], name);
      expect(await rowsOf(database, name)).toMatchObject([{ used: 300, usage_limit: 5000, is_open: true }]);
    }
  });

  it("is the record of a period that is over, and the next one begins with nothing", async () => {
    const user = await database.signUp();
    const name = await usedBy(user, 300);
    const renewed = { plan: "Pro", start: NOW + MONTH, end: NOW + 2 * MONTH };
    await deliver(database, [subscribed({ at: NOW + MONTH, items: [renewed] })], name);
    const rows = [
      { used: 300, usage_limit: 1000, starts: 0, ends: MONTH, is_open: false },
      { used: 0, usage_limit: 1000, starts: MONTH, ends: 2 * MONTH, is_open: true },
    ];
    expect(await rowsOf(database, name)).toMatchObject(rows);
    // A late event of the old period changes nothing.
    await deliver(database, [subscribed({ at: NOW + 50, items: [{ plan: "Max" }] })], name);
    expect(await rowsOf(database, name)).toMatchObject(rows);
  });

  it("is kept when a trial is extended", async () => {
    const user = await database.signUp();
    const name = await usedBy(user, 10);
    await deliver(
      database,
      [subscribed({ at: NOW + 9, items: [{ plan: "Pro", end: NOW + 2 * MONTH }] })],
      name,
    );
    expect(await rowsOf(database, name)).toMatchObject([{ used: 10, ends: 2 * MONTH, is_open: true }]);
  });

  it("stays on record when the subscription ends, and a period of which nothing was used leaves no row", async () => {
    const user = await database.signUp();
    const name = await usedBy(user, 10);
    await deliver(database, [subscribed({ at: NOW + 200, type: "deleted", status: "canceled" })], name);
    expect(await rowsOf(database, name)).toMatchObject([{ used: 10, usage_limit: 1000, is_open: false }]);
    const unused = await deliver(database, [
      plan("Pro", { limit_api_calls: "1000" }),
      subscribed(),
      subscribed({ at: NOW + 200, type: "deleted", status: "canceled" }),
    ]);
    expect(await rowsOf(database, unused)).toEqual([]);
  });

  it("follows limits that are edited, at once, and no other edit", async () => {
    const user = await database.signUp();
    const name = await usedBy(user, 10);
    await deliver(database, [plan("Pro", { limit_api_calls: "20", limit_new: "7" }, NOW + 300, {})], name);
    expect(await rowsOf(database, name)).toMatchObject([
      { metric: "api_calls", used: 10, usage_limit: 20 },
      { metric: "new", used: 0, usage_limit: 7 },
    ]);
    await deliver(database, [plan("Pro", { limit_api_calls: "99" }, NOW + 299, {})], name);
    expect((await rowsOf(database, name))[0]).toMatchObject({ usage_limit: 20 });
  });

  it("goes with the customer to another user, and stays without one when the user is deleted", async () => {
    const [ada, bob] = [await database.signUp(), await database.signUp()];
    const name = await usedBy(ada, 300);
    await deliver(database, [ownedBy(bob, NOW + 10)], name);
    expect(await rowsOf(database, name)).toMatchObject([{ used: 300, owner_id: bob }]);
    await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${bob}`;
    expect(await rowsOf(database, name)).toMatchObject([{ used: 300, owner_id: null }]);
  });

  it("can be recorded for a user who signs up after the subscription began", async () => {
    const user = randomUUID();
    const name = await deliver(database, [
      plan("Pro", { limit_api_calls: "1000" }),
      ownedBy(user),
      subscribed(),
    ]);
    expect(await rowsOf(database, name)).toMatchObject([{ owner_id: null }]);
    await database.signUp({ id: user });
    expect(await recordUsage(database, user, "api_calls", 5, "a")).toMatchObject({ used: 5, remaining: 995 });
  });
});
