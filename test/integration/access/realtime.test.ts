import { readFileSync } from "node:fs";
import { join as path } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Heard, Realtime } from "../../../scripts/local/realtime/changes.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { Story, tell } from "../entitlements/story.ts";
import { join, leave, payByTeam, type TeamRole } from "./teams.ts";

// A replication slot is made once every transaction has ended that is open then, in any database of the server, and other
// tests share the server.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const VERSIONS = "billing.entitlement_versions";

let users: TestDatabase;
let teams: TestDatabase;
beforeAll(async () => {
  [users, teams] = [await createTestDatabase(), await createTestDatabase()];
  await payByTeam(teams);
});
afterAll(async () => {
  await users.drop();
  await teams.drop();
});

let realtime: Realtime;
let story: Story;
beforeEach(() => {
  story = new Story();
});
afterEach(stopListening);

let listening: Realtime | undefined;
async function stopListening() {
  await listening?.close();
  listening = undefined;
}

/** Listens to a database, as everybody named and nobody else. */
async function listen(
  database: TestDatabase,
  subscribers: Record<string, Parameters<Realtime["subscribe"]>[1]>,
) {
  await stopListening();
  realtime = listening = await Realtime.over(database);
  for (const [name, subscription] of Object.entries(subscribers))
    await realtime.subscribe(name, subscription);
}
const filtered = (user: string, owner = user) => ({
  table: VERSIONS,
  user,
  filter: { column: "owner_id", value: owner },
});
const versionsIn = (heard: Heard[] | undefined) => heard?.map(({ record }) => record?.version);

describe("the rule of Realtime itself", () => {
  test("tells everybody of a deleted row by its key, and nobody who filters by its owner: so nothing is deleted here", async () => {
    const [owner, other] = [await users.signUp(), await users.signUp()];
    await users.sql.unsafe(`
      create schema rule;
      create table rule.notes (id int primary key, owner_id uuid not null);
      alter table rule.notes enable row level security;
      grant usage on schema rule to authenticated;
      grant select on rule.notes to authenticated;
      create policy own on rule.notes for select to authenticated using (owner_id = auth.uid());
      alter publication supabase_realtime add table rule.notes;
    `);
    const filter = { column: "owner_id", value: owner };
    await listen(users, {
      owner: { table: "rule.notes", user: owner },
      "owner who filters": { table: "rule.notes", user: owner, filter },
      other: { table: "rule.notes", user: other },
    });
    await users.sql`insert into rule.notes values (7, ${owner})`;
    const inserted = [{ type: "INSERT", record: { id: "7", owner_id: owner } }];
    expect(await realtime.heard()).toEqual({ owner: inserted, "owner who filters": inserted });
    await users.sql`delete from rule.notes`;
    const deleted = [{ type: "DELETE", old: { id: "7" } }];
    expect(await realtime.heard()).toEqual({ owner: deleted, other: deleted });
    await users.sql.unsafe("drop schema rule cascade");
  });

  test("refuses a filter by a column that the subscriber may not read", async () => {
    const user = await users.signUp();
    await listen(users, {});
    await expect(
      realtime.subscribe("user", {
        table: "billing.outbox",
        user,
        filter: { column: "dedupe_key", value: "x" },
      }),
    ).rejects.toThrow("invalid column for filter");
    await realtime.subscribe("user", filtered(user));
  });
});

describe("what is published", () => {
  test("is the versions alone of all our tables, with the owner's id as the key", async () => {
    const published = await users.sql`
      select p.schemaname || '.' || p.tablename as name, c.relreplident as identity, p.attnames::text[] as columns
      from pg_publication_tables as p
      join pg_class as c on c.relname = p.tablename and c.relnamespace = p.schemaname::regnamespace
      where p.pubname = 'supabase_realtime'`;
    expect(published).toEqual([
      { name: VERSIONS, identity: "d", columns: ["owner_id", "version", "updated_at"] },
    ]);
  });

  test("is never deleted, by nobody", async () => {
    const user = await users.signUp();
    await tell(users, story.product("export"), story.customer(user), story.subscription());
    for (const statement of [`delete from ${VERSIONS}`, `truncate ${VERSIONS}`])
      await expect(users.sql.unsafe(statement)).rejects.toMatchObject({ code: "DU075" });
  });

  test.each([
    ["where there is no such publication", "drop publication supabase_realtime"],
    [
      "where it is for all tables",
      "drop publication supabase_realtime; create publication supabase_realtime for all tables",
    ],
  ])("is added %s without failing", async (_, before) => {
    const source = readFileSync(
      path(import.meta.dirname, "../../../supabase/schemas/11_entitlements/015_entitlement_versions.sql"),
      "utf8",
    );
    const block = /^do \$\$.*?^\$\$;/ms.exec(source)?.[0] ?? "";
    expect(block).toContain("alter publication supabase_realtime add table");
    const admin = users.connect({ role: "supabase_admin" });
    class Undo extends Error {}
    await expect(
      admin.begin(async (sql) => {
        await sql.unsafe(before);
        await sql.unsafe(block);
        throw new Undo();
      }),
    ).rejects.toBeInstanceOf(Undo);
  });
});

describe("a client that filters by its owner", () => {
  test("hears of the first grant, of every change and of the revocation of all, each once; nobody else hears anything", async () => {
    const [owner, other] = [await users.signUp(), await users.signUp()];
    await tell(users, story.product("export", "a"), story.product("export, sso", "b"), story.customer(owner));
    await listen(users, {
      owner: filtered(owner),
      "owner without a filter": { table: VERSIONS, user: owner },
      other: { table: VERSIONS, user: other },
      "other who asks for the owner": filtered(other, owner),
      nobody: { table: VERSIONS },
    });
    const changes = [
      story.subscription({}, ["a"]),
      story.subscription({}, ["b"]),
      story.subscription({ status: "past_due" }, ["b"]),
      story.subscription({ status: "canceled" }, ["b"]),
    ];
    const heard = [];
    for (const change of changes) {
      await tell(users, change);
      heard.push(await realtime.heard());
    }
    const told = (type: string, version: string) => {
      const once = [{ type, record: { owner_id: owner, version, updated_at: expect.any(String) } }];
      return { owner: once, "owner without a filter": once };
    };
    // Overdue alone changes nothing of what may be used.
    expect(heard).toEqual([told("INSERT", "1"), told("UPDATE", "2"), {}, told("UPDATE", "3")]);
  });

  test("hears of a changed limit, of a new period and of a plan that was edited, and not of what is used", async () => {
    const owner = await users.signUp();
    const product = (limit: number) => {
      const event = story.product("export");
      Object.assign(event.data.object, {
        metadata: { features: "export", limit_seats: `${limit} per unit` },
      });
      return event;
    };
    await tell(users, product(1), story.customer(owner), story.subscription());
    await listen(users, { owner: filtered(owner) });
    const versions = async () => versionsIn((await realtime.heard()).owner);
    const subscribed = (quantity: number, later = 0) => {
      const event = story.subscription();
      const [item] = (event.data.object.items as { data: Record<string, number>[] }).data;
      Object.assign(item ?? {}, {
        quantity,
        current_period_start: Number(item?.current_period_start) + later,
        current_period_end: Number(item?.current_period_end) + later,
      });
      return event;
    };
    await tell(users, subscribed(5));
    expect(await versions()).toEqual(["2"]);
    await tell(users, subscribed(5));
    const now = new Date((story.now + 60) * 1000);
    await users.asService((sql) => sql`select billing.record_usage(${owner}, 'seats', 3, 'once', ${now})`);
    expect(await versions()).toBeUndefined();
    await tell(users, subscribed(5, 30 * 86_400));
    // The entitlement's own end and the period are told as one change.
    expect(await versions()).toEqual(["3"]);
    await tell(users, product(2));
    expect(await versions()).toBeUndefined();
    await users.sql`
      do $$ begin while billing_private.recount_entitlements(now() + interval '1 minute') loop null; end loop; end $$`;
    expect(await versions()).toEqual(["4"]);
  });

  test("hears when something begins to be overdue and when it is paid, and that a policy without grace takes access", async () => {
    const [kept, taken] = [await users.signUp(), await users.signUp()];
    await users.asService(
      (sql) =>
        sql`select billing.define_dunning_policy('strict', '[{"day": 0, "kind": "notice"}]', 'leave', p_keeps_access => false)`,
    );
    await tell(users, story.product("export"));
    await tell(users, story.customer(kept, "1"), story.subscription({}, [""], "1"));
    await tell(users, story.customer(taken, "2"), story.subscription({}, [""], "2"));
    await users.asService(
      (sql) => sql`select billing.assign_dunning_policy('customer', ${story.id("cus", "2")}, 'strict')`,
    );
    await listen(users, { kept: filtered(kept), taken: filtered(taken) });
    const bill = (type: string, number: string, changes: object) =>
      story.event(type, {
        id: story.id("in", number),
        object: "invoice",
        customer: story.id("cus", number),
        parent: { subscription_details: { subscription: story.id("sub", number) } },
        billing_reason: "subscription_cycle",
        collection_method: "charge_automatically",
        currency: "usd",
        total: 900,
        amount_due: 900,
        ...changes,
      });
    const failed = {
      status: "open",
      attempted: true,
      attempt_count: 1,
      amount_remaining: 900,
      amount_paid: 0,
    };
    const paid = { status: "paid", attempted: true, attempt_count: 2, amount_remaining: 0, amount_paid: 900 };
    const heard = async () => {
      const all = await realtime.heard();
      return { kept: versionsIn(all.kept), taken: versionsIn(all.taken) };
    };
    for (const number of ["1", "2"]) await tell(users, bill("invoice.payment_failed", number, failed));
    expect(await heard()).toEqual({ kept: ["2"], taken: ["2"] });
    const may = (user: string) =>
      users.asUser(user, (sql) => sql`select billing.has_feature('export') as feature`);
    expect([await may(kept), await may(taken)]).toEqual([[{ feature: true }], [{ feature: false }]]);
    for (const number of ["1", "2"]) await tell(users, bill("invoice.paid", number, paid));
    expect(await heard()).toEqual({ kept: ["3"], taken: ["3"] });
    expect(await may(taken)).toEqual([{ feature: true }]);
  });

  test("hears as a deleted user, whose token still counts, that all has ended; and forgetting adds nothing", async () => {
    const [owner, other] = [await users.signUp(), await users.signUp()];
    await tell(users, story.product("export"), story.customer(owner), story.subscription());
    await listen(users, { owner: filtered(owner), other: { table: VERSIONS, user: other } });
    await users.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${owner}`;
    const heard = await realtime.heard();
    expect(versionsIn(heard.owner)).toEqual(["2"]);
    expect(Object.keys(heard)).toEqual(["owner"]);
    await users.asService((sql) => sql`select billing.forget_user(${owner})`);
    expect(await realtime.heard()).toEqual({});
    // What stays of them: an id and a number.
    const [row] =
      await users.sql`select to_jsonb(v) - 'updated_at' as left from billing.entitlement_versions as v where owner_id = ${owner}`;
    expect(row).toEqual({ left: { owner_id: owner, version: 2 } });
  });

  test("hears of the end also where the deletion met with a failure of ours", async () => {
    const owner = await users.signUp();
    await tell(users, story.product("export"), story.customer(owner), story.subscription());
    await listen(users, { owner: filtered(owner) });
    await users.connect().begin(async (sql) => {
      await sql.unsafe(`
        create function pg_temp.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refuse before insert on billing_private.deleted_owners for each row when (new.is_finished) execute function pg_temp.refuse();
      `);
      await sql`delete from auth.users where id = ${owner}`;
      await sql.unsafe("drop trigger refuse on billing_private.deleted_owners");
    });
    expect(versionsIn((await realtime.heard()).owner)).toEqual(["2"]);
    await users.sql`select billing_private.remove_deferred_owners(now())`;
    expect(await realtime.heard()).toEqual({});
  });
});

describe("where teams pay", () => {
  test("members and managers hear; strangers, other teams and who has left do not", async () => {
    const [team, rivals] = [crypto.randomUUID(), crypto.randomUUID()];
    const people: Record<string, string> = {};
    for (const name of ["member", "manager", "leaver", "rival", "stranger"])
      people[name] = await teams.signUp();
    const { member = "", manager = "", leaver = "", rival = "", stranger = "" } = people;
    for (const [user, role] of [
      [member, "member"],
      [manager, "admin"],
      [leaver, "owner"],
    ] as const)
      await join(teams, team, user, role);
    await join(teams, rivals, rival, "owner");
    await tell(teams, story.product("export"), story.customer(team), story.subscription());
    const everybody = Object.entries({ member, manager, leaver, rival, stranger });
    await listen(
      teams,
      Object.fromEntries([
        ...everybody.map(([name, user]) => [name, { table: VERSIONS, user }]),
        ...everybody.map(([name, user]) => [`${name}, filtered`, filtered(user, team)]),
      ]),
    );
    const tellOf = async (status: string) => {
      await tell(teams, story.subscription({ status }));
      return Object.keys(await realtime.heard()).sort();
    };
    const both = (...names: string[]) => names.flatMap((name) => [name, `${name}, filtered`]).sort();
    expect(await tellOf("unpaid")).toEqual(both("leaver", "manager", "member"));
    // Who has left is not told of what was committed before, either: Realtime asks when it tells.
    await tell(teams, story.subscription({ status: "active" }));
    await leave(teams, team, leaver);
    expect(Object.keys(await realtime.heard()).sort()).toEqual(both("manager", "member"));
    await join(teams, team, stranger, "member");
    expect(await tellOf("unpaid")).toEqual(both("manager", "member", "stranger"));
  });

  test("nobody hears that somebody joined or left: that is the application's own to tell", async () => {
    const [team, user] = [crypto.randomUUID(), await teams.signUp()];
    await tell(teams, story.product("export"), story.customer(team), story.subscription());
    await listen(teams, { user: { table: VERSIONS, user } });
    await join(teams, team, user, "member");
    await leave(teams, team, user);
    expect(await realtime.heard()).toEqual({});
  });

  test("of a deleted team its members hear while they are members, and otherwise nobody", async () => {
    for (const stay of [true, false]) {
      story = new Story();
      const [team, member] = [crypto.randomUUID(), await teams.signUp()];
      await join(teams, team, member, "member");
      await tell(teams, story.product("export"), story.customer(team), story.subscription());
      await listen(teams, {
        member: filtered(member, team),
        nobody: { table: VERSIONS, user: await teams.signUp() },
      });
      if (!stay) await leave(teams, team, member);
      await teams.asService((sql) => sql`select billing.owner_deleted(${team})`);
      const heard = await realtime.heard();
      expect(versionsIn(heard.member)).toEqual(stay ? ["2"] : undefined);
      expect(heard.nobody).toBeUndefined();
    }
  });

  test("an owners function that raises lets nobody hear, and takes the news of nobody else's change along", async () => {
    const [team, member] = [crypto.randomUUID(), await teams.signUp()];
    await join(teams, team, member, "member");
    await tell(teams, story.product("export"), story.customer(team), story.subscription());
    await listen(teams, { member: filtered(member, team) });
    const define = (body: string) =>
      teams.sql.unsafe(`
        create or replace function app.my_teams(user_id uuid) returns table (owner_id uuid, can_manage boolean)
        language sql stable set search_path = '' as $$ ${body} $$`);
    await define("select (1 / 0)::text::uuid, true");
    await tell(teams, story.subscription({ status: "unpaid" }));
    expect(await realtime.heard()).toEqual({});
    await define("select m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = $1");
    await tell(teams, story.subscription());
    expect(versionsIn((await realtime.heard()).member)).toEqual(["3"]);
  });

  test("whatever happens in whatever order, a subscriber hears of the owners they belong to and of no other", async () => {
    console.log(`realtime: DUEBASE_SEED=${SEED}`);
    const random = new Random(SEED);
    const roles: TeamRole[] = ["owner", "admin", "member"];
    const owners = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const own = new Story();
        const id = crypto.randomUUID();
        await tell(teams, own.product("export"), own.customer(id), own.subscription());
        return { id, story: own };
      }),
    );
    const people = await Promise.all(Array.from({ length: 4 }, () => teams.signUp()));
    await listen(teams, Object.fromEntries(people.map((user) => [user, { table: VERSIONS, user }])));
    for (const owner of owners)
      for (const user of people) await realtime.subscribe(`${user} ${owner.id}`, filtered(user, owner.id));
    let told = 0;
    for (let step = 0; step < 40; step++) {
      const owner = random.pick(owners);
      const person = random.pick(people);
      const moves = [
        () => join(teams, owner.id, person, random.pick(roles)),
        () => leave(teams, owner.id, person),
        () =>
          tell(teams, owner.story.subscription({ status: random.pick(["active", "unpaid", "past_due"]) })),
        () => tell(teams, owner.story.product(random.pick(["export", "sso", "export, sso"]))),
      ];
      await random.pick(moves)();
      const heard = await realtime.heard();
      const members = await teams.sql<
        { team_id: string; user_id: string }[]
      >`select team_id, user_id from app.members`;
      for (const [name, news] of Object.entries(heard)) {
        const [user, only] = name.split(" ");
        for (const { type, record, old } of news) {
          told += 1;
          expect(["INSERT", "UPDATE"]).toContain(type);
          for (const owner_id of [record?.owner_id, old?.owner_id ?? record?.owner_id]) {
            expect(members).toContainEqual({ team_id: owner_id, user_id: user });
            if (only !== undefined) expect(owner_id).toBe(only);
          }
        }
      }
    }
    expect(told).toBeGreaterThan(10);
  });
});
