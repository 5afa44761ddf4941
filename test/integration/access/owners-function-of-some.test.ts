import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { join, payByTeam } from "./teams.ts";

// An owners function may answer about nobody, and fail for those alone who belong to something.

const NOW = new Date("2026-11-01T12:00:00Z");
const ROWS = "m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = $1";
const RIGHT = `return query select ${ROWS};`;
const RAISES_FOR_MEMBERS = `
  if exists (select from app.members as m where m.user_id = $1) then raise exception 'the roles are away'; end if;
  return query select ${ROWS};`;
/** Between these two, no user that is drawn by chance is ever the member: each comes right after one that is there. */
const [FIRST, MEMBER, LAST] = [
  "00000000-0000-4000-8000-000000000001",
  "00000000-0000-4000-8000-000000000002",
  "ffffffff-ffff-4fff-bfff-ffffffffffff",
];

let database: TestDatabase;
const team = randomUUID();
beforeAll(async () => {
  database = await createTestDatabase();
  await payByTeam(database);
  await database.signUp({ id: MEMBER });
  await join(database, team, MEMBER, "owner");
});
afterAll(() => database.drop());
afterEach(async () => {
  await define(RIGHT);
  await database.sql`delete from auth.users where id <> ${MEMBER}`;
  await database.sql`select billing_private.probe_owners_function(${NOW})`;
});

/** Replaces the application's function, as a migration of its own would: nothing of ours is told. */
const define = (body: string) =>
  database.sql.unsafe(`
    create or replace function app.my_teams(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language plpgsql stable set search_path = '' as $$ begin ${body} end $$;
  `);
const probe = async () => {
  await database.sql`select billing_private.probe_owners_function(${NOW})`;
  const [row] = await database.sql`select problem from billing.job_problems where job = 'owners_function'`;
  return row?.problem as string | undefined;
};

test("one that raises for members alone is found, and stays found until it is right for whom it failed", async () => {
  await define(RAISES_FOR_MEMBERS);
  const problem = `app.my_teams(uuid) raises the roles are away (P0001) for user ${MEMBER}`;
  expect(await probe()).toBe(problem);
  for (const id of [FIRST, LAST]) await database.signUp({ id });
  const [drawn] = await database.sql`select billing_private.sample_users(50) as users`;
  expect(drawn?.users).not.toContain(MEMBER);
  for (let minute = 0; minute < 3; minute++) expect(await probe()).toBe(problem);
  await define(RIGHT);
  expect(await probe()).toBeUndefined();
});

test("one that fails for a user who is gone meanwhile is tried with others", async () => {
  const gone = await database.signUp({ id: LAST });
  await define(`if $1 = '${gone}' then raise exception 'not this one'; end if; ${RIGHT}`);
  expect(await probe()).toContain(`not this one (P0001) for user ${gone}`);
  await database.sql`delete from auth.users where id = ${gone}`;
  expect(await probe()).toBeUndefined();
});

test("one that raises for members alone is refused by settings, with the error", async () => {
  await database.sql.unsafe(`
    create function app.of_members(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language plpgsql stable set search_path = '' as $$ begin ${RAISES_FOR_MEMBERS} end $$;
  `);
  const set = database.sql`update billing.settings set owners_function = 'app.of_members'`.execute();
  await expect(set).rejects.toMatchObject({
    code: "DU070",
    message: `owners_function refused: app.of_members(uuid) raises the roles are away (P0001) for user ${MEMBER}`,
  });
});

test("the log of the database says for whom it raised and why, and the caller is not told", async () => {
  await define(RAISES_FOR_MEMBERS);
  const told: { severity: string; message: string }[] = [];
  const api = postgres(database.urlFor("authenticator"), {
    max: 1,
    onnotice: ({ severity, message }) => told.push({ severity: String(severity), message: String(message) }),
  });
  const ask = (level: string) =>
    api.begin(async (sql) => {
      const caller = JSON.stringify({ sub: MEMBER, role: "authenticated" });
      await sql`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', ${caller}, true)`;
      await sql`select set_config('client_min_messages', ${level}, true)`;
      return await sql`select * from billing.my_owners()`;
    });
  expect(await ask("notice")).toEqual([]);
  expect(told).toEqual([]);
  // A client that wants to see what the log has.
  expect(await ask("log")).toEqual([]);
  expect(told).toEqual([
    {
      severity: "LOG",
      message: `duebase: owners_function gives user ${MEMBER} nothing: the roles are away (P0001)`,
    },
  ]);
  await api.end();
});

test("one that is slow is a problem, though it answers", async () => {
  await define(
    `perform pg_sleep(2.1) from app.members as m where m.user_id = $1; return query select ${ROWS};`,
  );
  expect(await probe()).toMatch(
    /^app\.my_teams\(uuid\) takes \d\.\d s, and every statement of a signed-in user waits for it: does it use an index\? for user /,
  );
});

test("one that gives no answer is canceled with the tick, and job_problems names it", async () => {
  await define(`perform pg_sleep(60) from app.members as m where m.user_id = $1; ${RIGHT}`);
  const outcome = await database.sql.begin(async (sql) => {
    await sql`set local statement_timeout = '2s'`;
    const [row] = await sql`
      select billing_private.call_tick_part(t, ${NOW}, ${NOW}) as outcome from billing.tick_parts as t where t.part = 'owners-function'`;
    return row?.outcome;
  });
  expect(outcome).toBe("canceled");
  const [row] = await database.sql`select problem from billing.job_problems where job = 'owners-function'`;
  expect(row?.problem).toMatch(
    /^app\.my_teams\(uuid\) gave no answer within \d\.\d s for user .*: canceling statement due to statement timeout \(57014\)$/,
  );
});

test("users are drawn by the primary key, others each time, and none where there are none", async () => {
  for (let n = 0; n < 200; n++) await database.signUp();
  const draw = async () => {
    const [row] = await database.sql<{ users: string[] }[]>`select billing_private.sample_users(10) as users`;
    return row?.users ?? [];
  };
  const drawn = new Set<string>();
  for (let time = 0; time < 20; time++) {
    const users = await draw();
    expect(users.length).toBeGreaterThan(1);
    expect(users.length).toBeLessThanOrEqual(10);
    for (const user of users) drawn.add(user);
  }
  expect(drawn.size).toBeGreaterThan(50);
  const empty = await createTestDatabase();
  const [none] = await empty.sql`select billing_private.sample_users(10) as users`;
  expect(none?.users).toEqual([]);
  await empty.drop();
});
