import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { newName, told } from "../../support/orders.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { customer } from "../../support/stripe/customers.ts";
import {
  alertsAbout,
  catalogue,
  havings,
  letTeamsPay,
  link,
  NOW,
  newTeam,
  ownerOf,
  subscribed,
} from "./teams.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await letTeamsPay(database);
  await receive(catalogue());
});
afterAll(() => database.drop());

async function receive(events: object[], where = database): Promise<void> {
  for (const event of events) expect(await where.receive(event)).toBe("processed");
}
const ask = async (sql: string, ...values: string[]): Promise<unknown> => {
  const [row] = await database.asService((transaction) =>
    transaction.unsafe(`select ${sql} as answer`, values),
  );
  return row?.answer;
};
const deleteTeam = (team: string) => ask("billing.owner_deleted($1)", team);
const restoreTeam = (team: string) => ask("billing.owner_restored($1)", team);
const tick = (where = database, at = "now()") =>
  where.sql.unsafe(`select billing_private.remove_deferred_owners(${at}) as done`);

describe("a running subscription of a deleted owner", () => {
  it("is an alert of its own, however many the owner has and whichever is told first, also after the deletion", async () => {
    const random = new Random(SEED);
    console.log(`alerts of deleted owners: DUEBASE_SEED=${SEED}`);
    for (let order = 0; order < 24; order++) {
      const team = newTeam();
      const [one, two] = [newName(), newName()];
      const [names, tells] = subscribed(one, team);
      const steps: (() => Promise<unknown>)[] = [
        () => database.receive(names as object),
        () => database.receive(tells as object),
        // The second customer names nobody, until an operator or its metadata does.
        ...subscribed(two).map((event) => () => database.receive(event)),
        () =>
          order % 2 === 0
            ? link(database, [{ customer: `cus_${two}`, owner_id: team }])
            : database.receive(
                told(
                  "customer.updated",
                  NOW + 9,
                  customer({ id: `cus_${two}`, created: NOW, metadata: { owner_id: team } }),
                ),
              ),
        () => deleteTeam(team),
      ];
      const shuffled = random.shuffled(steps);
      // An operator is refused to name a deleted owner.
      const isRefused =
        order % 2 === 0 && shuffled.indexOf(steps[4] as never) > shuffled.indexOf(steps[5] as never);
      for (const step of shuffled) await step();
      const expected = (isRefused ? [one] : [one, two])
        .map((name) => ({
          subscription: `sub_${name}`,
          customer: `cus_${name}`,
          status: "active",
          reason: "owner_deleted",
        }))
        .sort((a, b) => (a.subscription < b.subscription ? -1 : 1));
      expect(await alertsAbout(database, team), `order ${order}`).toEqual(expected);
    }
  });

  it("is none where the hint is not believed, where it ends by itself, and where the owner was never there", async () => {
    const [team, nobody] = [newTeam(), newTeam()];
    await deleteTeam(team);
    await receive([
      ...subscribed(newName(), team, { cancel_at_period_end: true }),
      ...subscribed(newName(), team, { status: "canceled" }),
      ...subscribed(newName(), nobody),
    ]);
    expect(await alertsAbout(database, team)).toEqual([]);
    expect(await alertsAbout(database, nobody)).toEqual([]);
  });
});

describe("an owner who could not be removed", () => {
  it("keeps its reason, stands in nobody's way, and is shown in job_problems until it is removed", async () => {
    const stuck = await createTestDatabase();
    await letTeamsPay(stuck);
    await receive(catalogue(), stuck);
    const [bad, good] = [`0${randomUUID().slice(1)}`, `f${randomUUID().slice(1)}`];
    await receive([...subscribed("Bad", bad), ...subscribed("Good", good)], stuck);
    const leave = async (id: string, reason: string) => {
      await stuck.sql`
        insert into billing_private.deleted_owners (owner_id, deleted_at, reason, is_finished) values (${id}, now(), ${reason}, false)`;
    };
    await leave(bad, "user_deleted");
    await leave(good, "owner_deleted");
    await stuck.sql.unsafe(`
      create function app.refuse() returns trigger language plpgsql as $$
      begin if old.owner_id = '${bad}' then raise exception 'not this one'; end if; return old; end $$;
      create trigger refuse before delete on billing.entitlements for each row execute function app.refuse();
    `);
    expect([...(await tick(stuck)), ...(await tick(stuck)), ...(await tick(stuck))]).toEqual([
      { done: 1 },
      { done: 1 },
      { done: 0 },
    ]);
    expect(await havings(stuck, good)).toEqual({ features: [], usage: 0, credits: 0, customers: [] });
    expect(await havings(stuck, bad)).toMatchObject({ customers: ["cus_Bad"] });
    const problems = () => stuck.sql`select problem from billing.job_problems where job = 'remove-owners'`;
    expect(await problems()).toEqual([
      { problem: `1 deleted owner(s) cannot be removed yet; ${bad}: not this one (P0001)` },
    ]);
    await stuck.sql.unsafe("drop trigger refuse on billing.entitlements");
    await tick(stuck, "now() + interval '1 minute'");
    expect(await havings(stuck, bad)).toMatchObject({ customers: [] });
    expect(await problems()).toEqual([]);
    expect(
      await stuck.sql`
        select customer_id, detail ->> 'reason' as reason from billing.audit_events
        where action = 'customer.unlinked' order by 1`,
    ).toEqual([
      { customer_id: "cus_Bad", reason: "user_deleted" },
      { customer_id: "cus_Good", reason: "owner_deleted" },
    ]);
    await stuck.drop();
  });

  it("is deleted by the application all the same, whatever of ours fails", async () => {
    const team = newTeam();
    await receive(subscribed(newName(), team));
    await database.connect().begin(async (sql) => {
      await sql.unsafe(`
        create function pg_temp.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refuse before insert on billing_private.deleted_owners for each row execute function pg_temp.refuse();
        create table app.teams (id uuid primary key);
        create function app.gone() returns trigger language plpgsql as $$ begin perform billing.owner_deleted(old.id); return null; end $$;
        create trigger gone after delete on app.teams for each row execute function app.gone();
      `);
      await sql`insert into app.teams values (${team})`;
      expect(await sql`delete from app.teams returning id`).toHaveLength(1);
      await sql.unsafe(
        "drop trigger refuse on billing_private.deleted_owners; drop table app.teams; drop function app.gone()",
      );
    });
  });
});

describe("a team that is restored", () => {
  it("has its customers, features and usage again, on record, and can be deleted and alerted of anew", async () => {
    const team = newTeam();
    const name = newName();
    await receive(subscribed(name, team));
    const now = new Date((NOW + 60) * 1000);
    await database.asService(
      (sql) => sql`select billing.record_usage(${team}, 'api_calls', 2, 'once', ${now})`,
    );
    const before = await havings(database, team);
    await deleteTeam(team);
    expect(await restoreTeam(team)).toBe(1);
    expect(await havings(database, team)).toEqual(before);
    expect(before).toMatchObject({ features: ["export"], usage: 2, customers: [`cus_${name}`] });
    expect(await restoreTeam(team)).toBe(0);
    expect(
      await database.sql`select actor from billing.audit_events where action = 'owner.restored' and subject_id = ${team}`,
    ).toEqual([{ actor: "operator" }]);
    await deleteTeam(team);
    expect(await alertsAbout(database, team)).toHaveLength(2);
  });

  it("is also one whose removal had not succeeded yet, and gets what Stripe tells later", async () => {
    const team = newTeam();
    await database.sql`
      insert into billing_private.deleted_owners (owner_id, deleted_at, reason, is_finished) values (${team}, now(), 'owner_deleted', false)`;
    expect(await restoreTeam(team)).toBe(0);
    await tick();
    await receive(subscribed(newName(), team));
    expect(await havings(database, team)).toMatchObject({ features: ["export"] });
  });

  it("by no id is refused", async () => {
    await expect(database.asService((sql) => sql`select billing.owner_restored(null)`)).rejects.toMatchObject(
      {
        code: "DU020",
      },
    );
  });
});

it("nothing is begun to be bought for a deleted team", async () => {
  const team = newTeam();
  const begin = () =>
    ask(
      "billing.begin_checkout($1, $2, 'subscription:prod_1', '{}', '{\"a\": \"b\"}') ->> 'outcome'",
      team,
      randomUUID(),
    );
  expect(await begin()).toBe("make");
  await deleteTeam(team);
  expect(await begin()).toBe("no_owner");
  expect(
    await database.sql`select from billing_private.checkout_attempts where owner_id = ${team}`,
  ).toHaveLength(0);
});

it("a deleted manager's address leaves what they began for a team at once, and forgetting them still works", async () => {
  const [team, manager] = [newTeam(), await database.signUp()];
  const request = JSON.stringify({ mode: "subscription", customer_email: "manager@example.com" });
  await ask(`billing.begin_checkout($1, $2, 'subscription:prod_2', '{}', '${request}')`, team, manager);
  await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${manager}`;
  expect(
    await database.sql`select user_id, request, status from billing_private.checkout_attempts where owner_id = ${team}`,
  ).toEqual([{ user_id: null, request: { mode: "subscription" }, status: "expired" }]);
  expect(await ask("billing.forget_user($1)", manager)).toBe(0);
});

it("owners_function set to null and back leaves no customer unlinked", async () => {
  const teams = await createTestDatabase();
  await letTeamsPay(teams);
  await receive(catalogue(), teams);
  const owners = Array.from({ length: 5 }, newTeam);
  for (const [at, owner] of owners.entries()) await receive(subscribed(`Pass${at}`, owner), teams);
  const set = (name: string | null) => teams.sql`update billing.settings set owners_function = ${name}`;
  const pass = async () => {
    let batches = 0;
    for (;;) {
      const [row] =
        await teams.sql`select billing_private.run_settings_pass(now() + interval '2 minutes', 2) as rows`;
      if (row?.rows === 0) return batches;
      batches += 1;
    }
  };
  const all = () => Promise.all(owners.map((_, at) => ownerOf(teams, `cus_Pass${at}`)));
  await set(null);
  expect(await pass()).toBe(3);
  expect(await all()).toEqual(owners.map(() => null));
  await set("app.teams_of");
  expect(await pass()).toBe(3);
  expect(await all()).toEqual(owners);
  expect(await havings(teams, owners[0] ?? "")).toMatchObject({ features: ["export"] });
  await teams.drop();
});
