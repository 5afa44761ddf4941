import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { newName, told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import { catalogue, havings, letTeamsPay, NOW, newTeam, ownerOf, subscribed } from "./teams.ts";

// Somebody holds a lock of ours for longer than anybody should: a person at a terminal, a backup, a stuck worker. Whoever
// signs up, or deletes an account or a team, is through in seconds all the same, and the tick does the rest.

/** As the function says, for each of what it may wait for one after the other. */
const LIMIT = 10_000;
const NOTHING = { features: [], usage: 0, credits: 0, customers: [] };

let users: TestDatabase;
let teams: TestDatabase;
beforeAll(async () => {
  [users, teams] = [await createTestDatabase(), await createTestDatabase()];
  await users.sql`update billing.settings set link_customers_by_email = true where id`;
  await letTeamsPay(teams);
  for (const database of [users, teams])
    for (const event of catalogue()) expect(await database.receive(event)).toBe("processed");
});
afterAll(async () => {
  await users.drop();
  await teams.drop();
});

/** Does work while another session holds a customer's lock and row, and returns how many ms the work took. */
async function whileHeld(database: TestDatabase, id: string, work: () => Promise<unknown>): Promise<number> {
  return (await database.connect().begin(async (sql) => {
    await sql`select billing_private.lock_customers(array[${id}])`;
    await sql`select from billing.customers where id = ${id} for update`;
    const begun = performance.now();
    await work();
    return performance.now() - begun;
  })) as number;
}
const problem = async (database: TestDatabase, job: string) => {
  const [row] = await database.sql`select problem from billing.job_problems where job = ${job}`;
  return row?.problem as string | undefined;
};
const unlinked = async () =>
  (await users.sql<{ user_id: string }[]>`select user_id from billing_private.unlinked_users`).map(
    ({ user_id }) => user_id,
  );
const linkLater = (minutes: number) => users.sql`
  select billing_private.link_unlinked_users(now() + ${minutes} * interval '1 minute') as done`;

describe("a sign-up", () => {
  test("by which a customer of long ago is found by its address is not held up, and the tick links it", async () => {
    const name = newName();
    const email = `${name.toLowerCase()}@example.com`;
    const [, tells] = subscribed(name);
    await users.receive(
      told("customer.created", NOW, customer({ id: `cus_${name}`, created: NOW, email, metadata: {} })),
    );
    await users.receive(tells as object);
    // Nothing of the last hour's events leads to it.
    await users.sql`update billing.customers set email = ${email} where id = ${`cus_${name}`}`;
    let id = "";
    const took = await whileHeld(users, `cus_${name}`, async () => {
      id = await users.signUp({ email });
    });
    expect(took).toBeLessThan(LIMIT);
    expect(await users.sql`select from auth.users where id = ${id}`).toHaveLength(1);
    expect(await ownerOf(users, `cus_${name}`)).toBeNull();
    expect(await unlinked()).toEqual([id]);
    expect(await linkLater(0)).toEqual([{ done: 1 }]);
    expect(await havings(users, id)).toMatchObject({ features: ["export"], customers: [`cus_${name}`] });
    expect(await unlinked()).toEqual([]);
    expect(await linkLater(0)).toEqual([{ done: 0 }]);
  });

  test("that cannot be linked later either is a problem that says why, once a minute, and is in nobody's way", async () => {
    const [bad, good] = [newName(), newName()];
    const ids: string[] = [];
    for (const name of [bad, good]) {
      for (const event of subscribed(name, "00000000-0000-4000-8000-00000000000f"))
        await users.receive(event);
      const id = name === bad ? newTeam().replace(/^./, "0") : newTeam().replace(/^./, "f");
      ids.push(id);
      await users.sql`
        update billing_private.customer_owner_hints set hinted_owner = ${id} where customer_id = ${`cus_${name}`}`;
    }
    await users.sql.unsafe(`
      create function public.refuse() returns trigger language plpgsql as $$
      begin if new.id = 'cus_${bad}' then raise exception 'not this one'; end if; return new; end $$;
      create trigger refuse before update of owner_id on billing.customers for each row execute function public.refuse();
    `);
    await users.signUp({ id: ids[0] ?? "" });
    await whileHeld(users, `cus_${good}`, () => users.signUp({ id: ids[1] ?? "" }));
    expect((await unlinked()).sort()).toEqual(ids);
    for (const done of [1, 1, 0]) expect(await linkLater(0)).toEqual([{ done }]);
    expect(await ownerOf(users, `cus_${good}`)).toBe(ids[1]);
    expect(await unlinked()).toEqual([ids[0]]);
    expect(await problem(users, "link-users")).toBe(
      `1 user(s) cannot be linked to their customers yet; ${ids[0]}: not this one (P0001)`,
    );
    await users.sql.unsafe("drop function public.refuse cascade");
    expect(await linkLater(1)).toEqual([{ done: 1 }]);
    expect(await ownerOf(users, `cus_${bad}`)).toBe(ids[0]);
    expect(await problem(users, "link-users")).toBeUndefined();
  });

  test("of somebody who is gone before the tick comes links nothing", async () => {
    const name = newName();
    const id = newTeam();
    for (const event of subscribed(name, id)) await users.receive(event);
    await whileHeld(users, `cus_${name}`, () => users.signUp({ id }));
    await users.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${id}`;
    await linkLater(0);
    expect(await unlinked()).toEqual([]);
    expect(await ownerOf(users, `cus_${name}`)).toBeNull();
    expect(
      await users.sql`select from billing_private.deleted_owners where owner_id = ${id} and is_finished`,
    ).toHaveLength(1);
  });
});

describe.each([
  ["an account", "user_deleted"],
  ["a team", "owner_deleted"],
])("the deletion of %s", (_, reason) => {
  test("is through while somebody holds a customer of theirs, and the tick does the rest", async () => {
    const database = reason === "user_deleted" ? users : teams;
    const owner = reason === "user_deleted" ? await database.signUp() : newTeam();
    const name = newName();
    for (const event of subscribed(name, owner)) await database.receive(event);
    expect(await havings(database, owner)).toMatchObject({ features: ["export"] });
    const took = await whileHeld(database, `cus_${name}`, async () => {
      if (reason === "user_deleted")
        await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${owner}`;
      else await database.asService((sql) => sql`select billing.owner_deleted(${owner})`);
    });
    expect(took).toBeLessThan(LIMIT);
    expect(
      await database.sql`
        select is_finished, reason from billing_private.deleted_owners where owner_id = ${owner}`,
    ).toEqual([{ is_finished: false, reason }]);
    await database.sql`select billing_private.remove_deferred_owners(now())`;
    expect(await havings(database, owner)).toEqual(NOTHING);
    expect(
      await database.sql`select is_finished from billing_private.deleted_owners where owner_id = ${owner}`,
    ).toEqual([{ is_finished: true }]);
  });
});
