import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { ownersPage } from "../../support/seats-world.ts";

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let team: string;
let name = 0;
beforeAll(async () => {
  database = await createTestDatabase();
  for (const block of ["tables", "function", "settings", "seats"])
    await database.sql.unsafe(ownersPage(block));
});
afterAll(() => database.drop());
beforeEach(async () => {
  const [row] = await database.sql<
    { id: string }[]
  >`insert into public.teams (name) values ('Team') returning id`;
  team = row?.id ?? "";
});

/** The team has a running subscription to prices of such metadata; each may have a product of its own, and a quantity. */
async function plan(
  ...items: { price?: object; product?: object; quantity?: number; status?: string }[]
): Promise<void> {
  for (const { price = {}, product = {}, quantity = 1, status = "active" } of items) {
    const id = `limits${name++}`;
    const { sql } = database;
    await sql`insert into billing.customers (id, owner_id) values (${`cus_${id}`}, ${team})`;
    await sql`
      insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
      values (${`sub_${id}`}, ${`cus_${id}`}, ${status}, false)`;
    await sql`insert into billing.products (id, metadata) values (${`prod_${id}`}, ${sql.json(product as never)})`;
    await sql`insert into billing.prices (id, metadata) values (${`price_${id}`}, ${sql.json(price as never)})`;
    await sql`
      insert into billing.subscription_items (id, subscription, price, product, quantity)
      values (${`si_${id}`}, ${`sub_${id}`}, ${`price_${id}`}, ${`prod_${id}`}, ${quantity})`;
  }
}
async function join(role = "member"): Promise<string> {
  const user = await database.signUp();
  await database.sql`insert into public.members values (${team}, ${user}, ${role})`;
  return user;
}
const asked = async (adding = 1) =>
  (
    await database.asService(
      (sql) => sql`
        select used::int, seats_limit::int, remaining::int, is_allowed from billing.limit_seats(${team}, ${adding})`,
    )
  )[0];

describe("the limit of a plan", () => {
  it("of a customer that was deleted at Stripe does not count", async () => {
    await plan({ price: { seats_limit: "3" } }, { price: { seats_limit: "5" } });
    expect(await asked()).toMatchObject({ seats_limit: 8 });
    await database.sql`
      update billing.customers set deleted_at = now() where id = (select max(id) from billing.customers where owner_id = ${team})`;
    expect((await asked())?.seats_limit).toBeLessThan(8);
    await database.sql`update billing.customers set deleted_at = now() where owner_id = ${team}`;
    expect(await asked()).toMatchObject({ seats_limit: 0, is_allowed: false });
  });

  it("is asked with the newest count, also where an older one is committed after it", async () => {
    await database.sql`select billing.sync_seats(${team}, 2)`;
    await database.sql`select billing.sync_seats(${team}, 4)`;
    const [late] =
      await database.sql`select min(id) as id from billing_private.seat_counts where owner_id = ${team}`;
    await database.sql`select billing_private.follow_seats(now()) from generate_series(1, 20)`;
    await database.sql`
      insert into billing_private.seat_counts (id, owner_id, quantity, counted_at) overriding system value
      values (${late?.id}, ${team}, 2, now())`;
    expect(await asked()).toMatchObject({ used: 4 });
  });

  it.each([
    ["of the price", [{ price: { seats_limit: "3" }, product: { seats_limit: "9" } }], 3],
    ["of the product, where the price has none", [{ product: { seats_limit: " 9 " } }], 9],
    ["per unit", [{ price: { seats_limit: "2 per unit" }, quantity: 4 }], 8],
    ["of several plans together", [{ price: { seats_limit: "3" } }, { price: { seats_limit: "5" } }], 8],
    [
      "unlimited goes before a number",
      [{ price: { seats_limit: "3" } }, { price: { seats_limit: "unlimited" } }],
      null,
    ],
    ["none named: as many as one likes", [{}], null],
    ["one that cannot be read counts as not named", [{ price: { seats_limit: "many" } }], null],
    [
      "of a plan that gives no access does not count",
      [{ price: { seats_limit: "3" }, status: "canceled" }],
      0,
    ],
    ["without a plan", [], 0],
  ])("%s", async (_what, plans, limit) => {
    await plan(...plans);
    expect((await asked())?.seats_limit).toBe(limit);
  });

  it("without a plan is what settings say", async () => {
    await database.sql`update billing.settings set seats_without_plan = 2 where id`;
    await join();
    expect(await asked()).toEqual({ used: 1, seats_limit: 2, remaining: 1, is_allowed: true });
    expect((await asked(2))?.is_allowed).toBe(false);
    await database.sql`update billing.settings set seats_without_plan = null where id`;
    expect(await asked(100)).toEqual({ used: 1, seats_limit: null, remaining: null, is_allowed: true });
    await database.sql`update billing.settings set seats_without_plan = 0 where id`;
  });
});

it("a member asks about the own team, and nobody about another one's", async () => {
  await plan({ price: { seats_limit: "2" } });
  const user = await join();
  const ask = (who: string, owner: string | null) =>
    database.asUser(
      who,
      (sql) => sql`select used::int, remaining::int, is_allowed from billing.my_seats(${owner})`,
    );
  expect(await ask(user, null)).toEqual([{ used: 1, remaining: 1, is_allowed: true }]);
  expect(await ask(user, team)).toEqual([{ used: 1, remaining: 1, is_allowed: true }]);
  await join();
  expect(await ask(user, team)).toEqual([{ used: 2, remaining: 0, is_allowed: false }]);
  const stranger = await database.signUp();
  await expect(ask(stranger, team)).rejects.toMatchObject({ code: "DU072" });
  await expect(
    database.asUser(user, (sql) => sql`select * from billing.limit_seats(${team})`),
  ).rejects.toMatchObject({ code: "42501" });
  await database.sql`select billing_private.follow_seats() from generate_series(1, 5)`;
  const rows = (who: string) => database.asUser(who, (sql) => sql`select quantity::int from billing.seats`);
  expect(await rows(user)).toEqual([{ quantity: 2 }]);
  expect(await rows(stranger)).toEqual([]);
});

it("two who are invited at once do not both get the last seat, with the page's trigger", async () => {
  await database.sql.unsafe(ownersPage("seats-limit"));
  await plan({ price: { seats_limit: "2" } });
  await join("owner");
  const users = await Promise.all(Array.from({ length: 8 }, () => database.signUp()));
  const clients = users.map(() => database.connect());
  const ends = await Promise.allSettled(
    users.map((user, index) =>
      clients[index]?.unsafe(`insert into public.members values ('${team}', '${user}', 'member')`),
    ),
  );
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const end of ends) if (end.status === "rejected") expect(end.reason).toMatchObject({ code: "23514" });
  expect(await asked()).toEqual({ used: 2, seats_limit: 2, remaining: 0, is_allowed: false });
});
