import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fillOwnerTables, ownerId, ownerTables } from "../../../scripts/bench/owner-tables.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { tables } from "../access/expectations.ts";
import { payByTeam } from "../access/teams.ts";
import { type Observer, observe } from "./observer.ts";

// What a signed-in user asks of the own rows, through row security, among a million rows of others.

const ROWS = 1_000_000;
const owned = Object.keys(tables).filter((name) => ["owner", "version"].includes(tables[name] ?? ""));
const owner = { role: "authenticated", userId: ownerId(4711) };
/** How many owners a user of an application belongs to whose teams pay. */
const MEMBERSHIPS = [1, 200];
const memberOf = (teams: number) => ({ role: "authenticated", userId: ownerId(900_000_000 + teams) });

let database: TestDatabase;
let observer: Observer;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillOwnerTables(database.connect({ role: "supabase_admin" }), ROWS);
  observer = await observe(database);
}, 300_000);
afterAll(() => database.drop());

/** Tables read from end to end, but for the one row of settings. */
const large = (scans: Map<string, string>) => [...scans.keys()].filter((table) => table !== "settings");

it("the tables filled are those an owner may read", async () => {
  const filled = (await ownerTables(database.sql)).map(({ name }) => `billing.${name}`);
  expect(filled.sort()).toEqual(owned.sort());
});

describe.each(owned)("of the million rows in %s, the owner's are found by an index", (table) => {
  const queries = [`select * from ${table}`, `select count(*) from ${table}`];

  it.each(queries)("%s", async (query) => {
    const [all] = await database.sql<{ rows: number }[]>`
      select reltuples::int as rows from pg_class where oid = ${table}::regclass
    `;
    expect(all?.rows).toBeGreaterThan(0.9 * ROWS);
    const { scans, indexes } = await observer.run(query, owner);
    expect(large(scans)).toEqual([]);
    expect(indexes.size).toBeGreaterThan(0);
    const rows = await database.asUser(owner.userId, (sql) => sql.unsafe(`select * from ${table}`));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.length).toBeLessThan(100);
  });
});

it("whether the owner has a feature is found by an index", async () => {
  const { scans, indexes } = await observer.run("select billing.has_feature('x4711')", owner);
  expect(large(scans)).toEqual([]);
  expect([...indexes]).toEqual(["an_owner_has_a_feature_once"]);
  const [asked] = await database.asUser(
    owner.userId,
    (sql) => sql`select billing.has_feature('x4711') as has`,
  );
  expect(asked).toEqual({ has: true });
});

describe.each(MEMBERSHIPS)("where teams pay, and the user belongs to %i of them", (teams) => {
  const member = memberOf(teams);
  beforeAll(async () => {
    const [settings] = await database.sql`select owners_function from billing.settings`;
    if (settings?.owners_function === null) await payByTeam(database);
    await database.sql`
      insert into app.members (team_id, user_id, role)
      select ('00000000-0000-4000-8000-' || lpad((n * 7)::text, 12, '0'))::uuid, ${member.userId}, 'admin'
      from generate_series(1, ${teams}) as n`;
    await database.sql`analyze app.members`;
  });

  it.each(owned)("the teams' rows of %s are found by an index", async (table) => {
    const { scans, indexes } = await observer.run(`select * from ${table}`, member);
    expect(large(scans).filter((name) => name !== "members")).toEqual([]);
    expect(indexes.size).toBeGreaterThan(0);
    const rows = await database.asUser(member.userId, (sql) => sql.unsafe(`select * from ${table}`));
    expect(rows.length).toBeGreaterThanOrEqual(teams);
    expect(rows.length).toBeLessThan(100 * teams);
  });

  it("whether any of them has a feature, too", async () => {
    const { scans, indexes } = await observer.run("select billing.has_feature('x7')", member);
    expect(large(scans).filter((name) => name !== "members")).toEqual([]);
    expect([...indexes]).toContain("an_owner_has_a_feature_once");
    const [asked] = await database.asUser(
      member.userId,
      (sql) => sql`select billing.has_feature('x7') as has`,
    );
    expect(asked).toEqual({ has: true });
  });
});
