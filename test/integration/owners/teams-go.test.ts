import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { newName, told } from "../../support/orders.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { customer } from "../../support/stripe/customers.ts";
import { person, story } from "../users/ada.ts";
import {
  alertsAbout,
  catalogue,
  havings,
  letTeamsPay,
  link,
  NOW,
  newTeam,
  ownerOf,
  PERIOD_END,
  subscribed,
} from "./teams.ts";

let database: TestDatabase;
let users: TestDatabase;
beforeAll(async () => {
  [database, users] = [await createTestDatabase(), await createTestDatabase()];
  await letTeamsPay(database);
  await receive(catalogue());
  await receive(catalogue(), users);
});
afterAll(async () => {
  await database.drop();
  await users.drop();
});

async function receive(events: object[], where = database): Promise<void> {
  for (const event of events) expect(await where.receive(event)).toBe("processed");
}
/** Deletes a team as the application does; returns how many customers were unlinked. */
const deleteTeam = async (team: string | null, where = database): Promise<number> =>
  await where.asService(async (sql) => {
    const [row] = await sql<{ unlinked: number }[]>`select billing.owner_deleted(${team}) as unlinked`;
    return row?.unlinked ?? -1;
  });
const leave = async (user: string, where = users) =>
  await where.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${user}`;
const NOTHING = { features: [], usage: 0, credits: 0, customers: [] };

describe("with an owners_function", () => {
  it("any id is an owner's: a team is linked, entitled, counted and given credits with no row of auth.users", async () => {
    const team = newTeam();
    await receive(subscribed("Team1", team));
    const now = new Date((NOW + 60) * 1000);
    await database.asService(async (sql) => {
      await sql`select billing.record_usage(${team}, 'api_calls', 2, 'once', ${now})`;
      await sql`select billing.grant_credits(${team}, 'images', 5, 'welcome')`;
    });
    expect(await havings(database, team)).toEqual({
      features: ["export"],
      usage: 2,
      credits: 5,
      customers: ["cus_Team1"],
    });
  });

  it("what is no uuid is nobody's: an audit fact and no error", async () => {
    await receive(subscribed("Team2", "team-42"));
    expect(await ownerOf(database, "cus_Team2")).toBeNull();
    expect(
      await database.sql`select detail from billing.audit_events where customer_id = 'cus_Team2' and action = 'customer.owner_unknown'`,
    ).toEqual([{ detail: { source: "customer", hinted_owner: null } }]);
  });

  it("no customer is linked by email, though settings would allow it", async () => {
    const email = `${randomUUID()}@example.com`;
    await database.sql`update billing.settings set link_customers_by_email = true where id`;
    await database.signUp({ email });
    await receive([told("customer.created", NOW, customer({ id: "cus_Team3", created: NOW, email }))]);
    await database.signUp();
    await database.sql`select billing_private.link_waiting_customers(now())`;
    expect(await ownerOf(database, "cus_Team3")).toBeNull();
    await database.sql`update billing.settings set link_customers_by_email = false where id`;
  });

  it("set later, it makes owners of the ids that were nobody's, within a minute", async () => {
    const later = await createTestDatabase();
    const team = newTeam();
    await receive([...catalogue(), ...subscribed("Team4", team)], later);
    expect(await ownerOf(later, "cus_Team4")).toBeNull();
    await letTeamsPay(later);
    await later.sql`select billing_private.link_waiting_customers(now())`;
    expect(await havings(later, team)).toMatchObject({ features: ["export"], customers: ["cus_Team4"] });
    await later.drop();
  });
});

describe("a team that is deleted", () => {
  it("loses its customers, on record, its entitlements, credits and keys; the books stay and name nobody", async () => {
    const team = newTeam();
    await receive(subscribed("Gone1", team));
    const now = new Date((NOW + 60) * 1000);
    await database.asService(async (sql) => {
      await sql`select billing.record_usage(${team}, 'api_calls', 2, 'once', ${now})`;
      await sql`select billing.grant_credits(${team}, 'images', 5, 'welcome', 'a note')`;
    });
    expect(await deleteTeam(team)).toBe(1);
    expect(await havings(database, team)).toEqual(NOTHING);
    const [left] = await database.sql`
      select
        (select array_agg(u.used) from billing.subscription_usage as u where u.subscription = 'sub_Gone1' and u.owner_id is null) as usage,
        (select array_agg(row(e.credits, e.note is null)::text) from billing.credit_entries as e where e.owner_id is null) as entries,
        (select count(*)::int from billing_private.usage_records as r where r.owner_id = ${team}) as keys,
        (select s.status from billing.subscriptions as s where s.id = 'sub_Gone1') as status,
        (select v.version::int from billing.entitlement_versions as v where v.owner_id = ${team}) as version`;
    expect(left).toEqual({ usage: ["2"], entries: ["(5,t)"], keys: 0, status: "active", version: 2 });
    expect(
      await database.sql`select actor, detail from billing.audit_events where customer_id = 'cus_Gone1' and action = 'customer.unlinked'`,
    ).toEqual([
      { actor: "system", detail: { owner_id: null, former_owner_id: team, reason: "owner_deleted" } },
    ]);
    await expect(
      database.asService((sql) => sql`select billing.grant_credits(${team}, 'images', 5, 'again')`),
    ).rejects.toMatchObject({
      code: "DU018",
    });
  });

  it("gets nothing by events that come later, nor by an operator; nor does saying it again change anything", async () => {
    const team = newTeam();
    await receive(subscribed("Gone2", team));
    await deleteTeam(team);
    await receive([
      told(
        "customer.updated",
        NOW + 60,
        customer({ id: "cus_Gone2", created: NOW, metadata: { owner_id: team } }),
      ),
      ...subscribed("Gone3", team),
    ]);
    expect(await link(database, [{ customer: "cus_Gone2", owner_id: team }])).toMatchObject([
      { outcome: "refused", reason: "the owner was deleted" },
    ]);
    expect(await deleteTeam(team)).toBe(0);
    await database.sql`select billing_private.link_waiting_customers(now())`;
    expect(await havings(database, team)).toEqual(NOTHING);
  });

  it("makes room for the next owner who is named", async () => {
    const [first, second] = [newTeam(), newTeam()];
    await receive(subscribed("Gone4", second));
    await link(database, [{ customer: "cus_Gone4", owner_id: first }]);
    expect(await ownerOf(database, "cus_Gone4")).toBe(first);
    await deleteTeam(first);
    expect(await havings(database, second)).toMatchObject({ features: ["export"], customers: ["cus_Gone4"] });
    expect(await alertsAbout(database, first)).toEqual([]);
  });

  it("alerts the operator of the subscriptions that go on, once; not of one that ends by itself", async () => {
    const [team, ending] = [newTeam(), newTeam()];
    await receive([
      ...subscribed("Gone5", team),
      ...subscribed("Gone6", ending, { cancel_at_period_end: true }),
    ]);
    for (const one of [team, ending, team, ending]) await deleteTeam(one);
    expect(await alertsAbout(database, team)).toEqual([
      { subscription: "sub_Gone5", customer: "cus_Gone5", status: "active", reason: "owner_deleted" },
    ]);
    expect(await alertsAbout(database, ending)).toEqual([]);
  });

  it("alerts of no subscription that flexible billing ends with its period, but of one that is charged until a later day", async () => {
    const [ending, charged] = [newTeam(), newTeam()];
    await receive([
      ...subscribed("Gone8", ending, { cancel_at: PERIOD_END, canceled_at: NOW }),
      ...subscribed("Gone9", charged, { cancel_at: PERIOD_END + 1, canceled_at: NOW }),
    ]);
    for (const one of [ending, charged]) await deleteTeam(one);
    expect(await alertsAbout(database, ending)).toEqual([]);
    expect(await alertsAbout(database, charged)).toMatchObject([{ subscription: "sub_Gone9" }]);
  });

  it("is deleted also where something of ours fails; what was left is done by the tick", async () => {
    const team = newTeam();
    await receive(subscribed("Gone7", team));
    const broken = database.connect();
    await broken.begin(async (sql) => {
      await sql.unsafe(`
        create function app.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refuse before delete on billing.entitlements for each row execute function app.refuse();
      `);
      const [row] = await sql<{ unlinked: number }[]>`select billing.owner_deleted(${team}) as unlinked`;
      expect(row?.unlinked).toBe(0);
      await sql.unsafe("drop trigger refuse on billing.entitlements; drop function app.refuse()");
    });
    expect(await havings(database, team)).toMatchObject({ features: ["export"], customers: ["cus_Gone7"] });
    const [tick] = await database.sql`select billing_private.remove_deferred_owners(now()) as done`;
    expect(tick?.done).toBe(1);
    expect(await havings(database, team)).toEqual(NOTHING);
    expect(await alertsAbout(database, team)).toHaveLength(1);
    expect(await database.sql`select billing_private.remove_deferred_owners(now()) as done`).toEqual([
      { done: 0 },
    ]);
  });

  it("by no id is refused", async () => {
    await expect(deleteTeam(null)).rejects.toMatchObject({ code: "DU020" });
  });

  it("ends the same in whatever order its events and the deletion come", async () => {
    const random = new Random(SEED);
    console.log(`teams that go: DUEBASE_SEED=${SEED}`);
    for (let order = 0; order < 24; order++) {
      const [team, other] = [newTeam(), newTeam()];
      const name = newName();
      const steps: (() => Promise<unknown>)[] = [
        ...subscribed(name, other).map((event) => () => database.receive(event)),
        () => link(database, [{ customer: `cus_${name}`, owner_id: team }]),
        () => deleteTeam(team),
        () =>
          database.receive(
            told(
              "customer.updated",
              NOW + 9,
              customer({ id: `cus_${name}`, created: NOW, metadata: { owner_id: other } }),
            ),
          ),
      ];
      for (const step of random.shuffled(steps)) await step();
      expect(await havings(database, team)).toEqual(NOTHING);
      expect(await havings(database, other)).toMatchObject({
        features: ["export"],
        customers: [`cus_${name}`],
      });
    }
  });
});

describe("a user who is deleted", () => {
  it("alerts the operator of the subscriptions that go on, where owners are users", async () => {
    const user = await users.signUp();
    await receive(subscribed("User1", user), users);
    await leave(user);
    expect(await alertsAbout(users, user)).toEqual([
      { subscription: "sub_User1", customer: "cus_User1", status: "active", reason: "user_deleted" },
    ]);
  });

  it("is no longer deleted when the account is made again", async () => {
    const user = await users.signUp();
    await receive(subscribed("User2", user), users);
    await leave(user);
    await users.signUp({ id: user });
    expect(await havings(users, user)).toMatchObject({ features: ["export"], customers: ["cus_User2"] });
    expect(await users.sql`select from billing_private.deleted_owners where owner_id = ${user}`).toHaveLength(
      0,
    );
  });

  it("goes with the account only: owner_deleted does nothing about a user who is there", async () => {
    const user = await users.signUp();
    await receive(subscribed("User3", user), users);
    expect(await deleteTeam(user, users)).toBe(0);
    expect(await ownerOf(users, "cus_User3")).toBe(user);
  });

  it("and forgotten, though a team's only manager, leaves the team's books and customers as they are", async () => {
    const [team, manager] = [newTeam(), await database.signUp()];
    await database.sql`insert into app.members values (${team}, ${manager}, true)`;
    await receive(story("Ada", team));
    await receive(story("Bob", manager));
    const books = () =>
      database.sql`
        select to_jsonb(c)::text as row from billing.customers as c where c.id = 'cus_ExampleAda'
        union all
        select to_jsonb(i)::text from billing.invoices as i where i.customer = 'cus_ExampleAda'
        union all
        select to_jsonb(e)::text from billing.stripe_events as e where e.customer_id = 'cus_ExampleAda'
        order by 1`;
    const before = await books();
    expect(before.length).toBeGreaterThan(5);
    const forget = (id: string) =>
      database.asService(
        (sql) => sql<{ customers: number }[]>`select billing.forget_user(${id}) as customers`,
      );
    expect(await forget(manager)).toEqual([{ customers: 1 }]);
    await leave(manager, database);
    expect(await forget(manager)).toEqual([{ customers: 1 }]);
    expect(await books()).toEqual(before);
    expect(await ownerOf(database, "cus_ExampleAda")).toBe(team);
    const [bob] = await database.sql`select name, email from billing.customers where id = 'cus_ExampleBob'`;
    expect(bob).toEqual({ name: null, email: null });
    expect(person("Bob").name).not.toBe(person("Ada").name);
  });
});
