import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";
import { join, leave, payByTeam } from "./teams.ts";

const owned = Object.keys(tables).filter((name) => tables[name] === "owner");
const RETURNS = "returns table (owner_id uuid, can_manage boolean)";

let database: TestDatabase;
let team: string;
let other: string;
let user: string;
beforeAll(async () => {
  database = await createTestDatabase();
  await payByTeam(database);
  [team, other, user] = [await database.signUp(), await database.signUp(), await database.signUp()];
  await subscribe(database, "red", team);
  await subscribe(database, "blue", other);
});
afterAll(() => database.drop());
beforeEach(() => join(database, team, user, "admin"));
afterEach(async () => {
  await database.sql`delete from app.members`;
  await define("select m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = $1");
  await database.sql`select billing_private.probe_owners_function(now())`;
});

/** Replaces the body of the application's function, as a migration of its own would. */
const define = (body: string) =>
  database.sql.unsafe(`
    drop function if exists app.my_teams(uuid);
    create function app.my_teams(user_id uuid) ${RETURNS} language sql stable set search_path = '' as $$ ${body} $$;
  `);
const rowsOf = (table: string) => database.asUser(user, (sql) => sql`select * from ${sql(table)}`);
const readable = async () => {
  const found: string[] = [];
  for (const table of owned) if ((await rowsOf(table)).length > 0) found.push(table);
  return found;
};
const mine = () => database.asUser(user, (sql) => sql`select * from billing.my_owners() order by owner_id`);
const problem = async () => {
  await database.sql`select billing_private.probe_owners_function('2026-11-01')`;
  const [row] = await database.asService(
    (sql) => sql`select problem from billing.job_problems where job = 'owners_function'`,
  );
  return row?.problem as string | undefined;
};

describe("a change of membership", () => {
  test("holds with the next statement, in a session that goes on", async () => {
    await leave(database, team, user);
    const counts = await database.asUser(user, async (sql) => {
      const count = async () => {
        const [row] = await sql`
          select
            (select count(*)::int from billing.invoices) as invoices,
            (select count(*)::int from billing.subscriptions) as subscriptions,
            billing.has_feature('feature_red') as feature`;
        return { ...row };
      };
      const seen = [await count()];
      await join(database, team, user, "member");
      seen.push(await count());
      await join(database, team, user, "admin");
      seen.push(await count());
      await join(database, team, user, "member");
      seen.push(await count());
      await leave(database, team, user);
      seen.push(await count());
      return seen;
    });
    const nothing = { invoices: 0, subscriptions: 0, feature: false };
    const member = { invoices: 0, subscriptions: 1, feature: true };
    expect(counts).toEqual([nothing, member, { ...member, invoices: 1 }, member, nothing]);
  });

  test("changes the version of the entitlements, also where two teams have the same", async () => {
    const version = async () => {
      const [row] = await database.asUser(
        user,
        (sql) => sql`select billing.entitlements_version() as version`,
      );
      return row?.version as string;
    };
    const inRed = await version();
    expect(await version()).toBe(inRed);
    await leave(database, team, user);
    await join(database, other, user, "member");
    const [same] = await database.sql`
      select count(distinct version)::int as versions from billing.entitlement_versions
      where owner_id in (${team}, ${other})`;
    expect(same).toEqual({ versions: 1 });
    expect(await version()).not.toBe(inRed);
    await join(database, team, user, "member");
    const inBoth = BigInt(await version());
    await database.sql`
      update billing.entitlement_versions set version = version + 1 where owner_id = ${team}`;
    expect(BigInt(await version())).toBeGreaterThan(inBoth);
  });
});

describe("an owners function that", () => {
  test.each([
    ["raises", "select (1 / 0)::text::uuid, true", "division by zero"],
    [
      "raises after its first rows",
      "select u.id, 1 / (2 - n) > 0 from auth.users as u, generate_series(1, 2) as n",
      "division",
    ],
  ])("%s gives nobody anything, and the tick records why until it is right", async (_, body, why) => {
    expect(await readable()).toEqual(owned);
    expect(await problem()).toBeUndefined();
    await define(body);
    expect(await readable()).toEqual([]);
    expect(await mine()).toEqual([]);
    const answers = await database.asUser(
      user,
      (sql) => sql`
        select billing.has_feature('feature_red') as feature, billing.credit_balance('images')::int as credits,
          (billing.current_usage('api_calls')).usage_limit::int as usage, billing.entitlements_version()::int as version,
          (select count(*)::int from billing.my_billing_status()) as overdue`,
    );
    expect(answers).toEqual([{ feature: false, credits: 0, usage: 0, version: 0, overdue: 0 }]);
    expect(await problem()).toContain(why);
    await define(`select '${team}'::uuid, true`);
    expect(await readable()).toEqual(owned);
    expect(await problem()).toBeUndefined();
  });

  test("is dropped gives nobody anything until it is there again", async () => {
    await database.sql`drop function app.my_teams(uuid)`;
    expect(await readable()).toEqual([]);
    expect(await problem()).toBe("there is no function app.my_teams(uuid) that takes one uuid");
    await define(`select '${team}'::uuid, true`);
    expect(await readable()).toEqual(owned);
  });

  test("returns other columns gives nobody anything", async () => {
    await database.sql.unsafe(`
      drop function app.my_teams(uuid);
      create function app.my_teams(user_id uuid) returns table (team_id uuid, can_manage boolean) language sql stable
      as $$ select '${team}'::uuid, true $$;
    `);
    expect(await readable()).toEqual([]);
    expect(await problem()).toContain("and not table (owner_id uuid, can_manage boolean)");
  });

  test("returns nulls gives nothing for them, least of all what has no owner", async () => {
    await database.sql`insert into billing.customers (id) values ('cus_nobody') on conflict do nothing`;
    await database.sql`
      insert into billing.invoices (id, customer) values ('in_nobody', 'cus_nobody') on conflict do nothing`;
    await define("select null::uuid, true union all select null, null");
    expect(await readable()).toEqual([]);
    await define(`select '${team}'::uuid, null::boolean union all select null, true`);
    expect(await mine()).toEqual([{ owner_id: team, can_manage: false }]);
    expect(await rowsOf("billing.subscriptions")).toHaveLength(1);
    expect(await rowsOf("billing.invoices")).toEqual([]);
  });

  test("returns an owner twice gives each row once, and management where any row says so", async () => {
    await define(`select '${team}'::uuid, false union all select '${team}', false`);
    expect(await mine()).toEqual([{ owner_id: team, can_manage: false }]);
    await define(`select '${team}'::uuid, false union all select '${team}', true`);
    expect(await mine()).toEqual([{ owner_id: team, can_manage: true }]);
    expect(await rowsOf("billing.customers")).toHaveLength(1);
    await join(database, team, user, "admin");
  });

  test("returns whatever it may: policies have the owners that my_owners has, and those it manages", async () => {
    const rows = [team, other, null].flatMap((owner) =>
      [true, false, null].map((manages) => ({ owner, manages })),
    );
    for (let subset = 0; subset < 2 ** rows.length; subset += 37) {
      const chosen = rows.filter((_, place) => (subset >> place) % 2 === 1);
      const values = chosen.map(
        ({ owner, manages }) => `(${owner ? `'${owner}'` : "null"}::uuid, ${manages}::boolean)`,
      );
      await define(
        values.length > 0 ? `select * from (values ${values}) as v` : "select null::uuid, true where false",
      );
      const owners = await mine();
      for (const managedOnly of [true, false]) {
        const [row] = await database.sql.begin(async (sql) => {
          await sql`select set_config('request.jwt.claims', ${JSON.stringify({ sub: user })}, true)`;
          return sql`
            select array(select distinct unnest(billing_private.my_owner_array(${managedOnly})) order by 1) as owners`;
        });
        expect(row?.owners, `subset ${subset}`).toEqual(
          owners.filter(({ can_manage }) => can_manage || !managedOnly).map(({ owner_id }) => owner_id),
        );
      }
    }
  });

  test("is never called for a caller without a user", async () => {
    await define(`select '${team}'::uuid, true`);
    const rows = await database.asService((sql) => sql`select * from billing.my_owners()`);
    expect(rows).toEqual([]);
  });

  test("is canceled ends the statement, and gives no empty answer", async () => {
    await define(`select '${team}'::uuid, pg_sleep(10) is null`);
    await expect(
      database.asUser(user, async (sql) => {
        await sql`set local statement_timeout = '50ms'`;
        return sql`select * from billing.invoices`;
      }),
    ).rejects.toMatchObject({ code: "57014" });
  });

  test("uses names without their schema is called with an empty search_path, and refused", async () => {
    await database.sql.unsafe(`
      create function app.careless(user_id uuid) ${RETURNS} language plpgsql stable
      as $$ begin return query select m.team_id, true from members as m; end $$;
    `);
    await expect(set("app.careless")).rejects.toMatchObject({
      code: "DU070",
      message: expect.stringContaining('relation "members" does not exist'),
    });
  });
});

const set = (name: string | null) =>
  database.sql.begin(async (sql) => {
    const [row] =
      await sql`update billing.settings set owners_function = ${name} where id returning owners_function`;
    return row?.owners_function as string | null;
  });

describe("settings.owners_function", () => {
  test("is spelled out, however it was named", async () => {
    for (const name of ["app.my_teams", "app.my_teams(uuid)", " APP.my_teams ( uuid ) "])
      expect(await set(name)).toBe("app.my_teams(uuid)");
    await database.sql.unsafe(`
      create function app."Teams (new)"(uuid) ${RETURNS} language sql stable as $$ select null::uuid, false $$;
    `);
    expect(await set('app."Teams (new)"')).toBe('app."Teams (new)"(uuid)');
    expect(await mine()).toEqual([]);
    await set("app.my_teams");
  });

  test.each([
    ["a name of nothing", "app.nothing"],
    ["a name without its schema", "my_teams"],
    ["what is no name", "app.my_teams(uuid); drop table app.members"],
    ["other arguments", "app.of_text(text)"],
    ["another result", "app.set_of_uuid"],
    ["a volatile function", "app.volatile"],
    ["a function that raises", "app.raising"],
  ])("refuses %s", async (_, name) => {
    await database.sql.unsafe(`
      create or replace function app.of_text(text) ${RETURNS} language sql stable as $$ select null::uuid, true $$;
      create or replace function app.set_of_uuid(uuid) returns setof uuid language sql stable as $$ select $1 $$;
      create or replace function app.volatile(uuid) ${RETURNS} language sql as $$ select $1, true $$;
      create or replace function app.raising(uuid) ${RETURNS} language sql stable as $$ select $1, 1 / 0 > 1 $$;
    `);
    await expect(set(name)).rejects.toMatchObject({
      code: "DU070",
      hint: expect.stringContaining("returns table (owner_id uuid, can_manage boolean)"),
    });
    expect(await readable()).toEqual(owned);
  });

  test("is null again: every user is their own owner, and manages it", async () => {
    await set(null);
    expect(await mine()).toEqual([{ owner_id: user, can_manage: true }]);
    expect(await readable()).toEqual([]);
    await set("app.my_teams");
  });
});
