/**
 * What row security costs a signed-in user: the own rows of each table, among a million, beside the same rows asked for
 * by service_role with the policy's own condition written out. What has_feature costs a policy of an application's. And,
 * where teams pay, what it costs a member that as many rows are those of 200 teams and not of one: the same number of
 * rows of the same size, scattered in the table in the same way, so that only the number of owners differs.
 * The two take turns in short rounds on one server, so that whatever else the machine does hits both.
 */
import type { Sql } from "postgres";
import { middle } from "./builds.ts";
import {
  fillOwnerTables,
  ONE_ROW_AN_OWNER,
  OWNERS,
  ordinaryOwner,
  ownersOfEqualRows,
  ownerTables,
  SHARERS,
} from "./owner-tables.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";
import { askAs } from "./signed-in.ts";

const ROWS = 1_000_000;
const ROUNDS = 40;
const ROUND_QUERIES = 25;
/** A query of thousands of rows takes as long as many of ten. */
const ROUND_QUERIES_OF_MANY_ROWS = 8;
const MOST_COST_OF_SHARERS = 2;

/** A query as it is put for one user. */
type Question = { name: string; asOwner: string; asService: (userId: string) => string };

/** Takes a few minutes, with a server of its own in a temporary directory. */
export async function benchRowSecurity(): Promise<BenchRow[]> {
  // Nothing is written while time counts.
  return withServer({ fsync: false }, async ({ connect, install }) => {
    await install("postgres");
    const admin = connect("supabase_admin", "postgres");
    const api = connect("authenticator", "postgres");
    await fillOwnerTables(admin, ROWS);
    await fillApplication(admin);
    const rows: BenchRow[] = [];
    for (const question of await questions(admin)) rows.push(...(await compareWithService(api, question)));
    await letTeamsPay(admin);
    for (const { name } of await ownerTables(admin)) {
      // Elsewhere one owner never has the rows of 200.
      if (!ONE_ROW_AN_OWNER.includes(name)) rows.push(...(await compareOwners(admin, api, name)));
    }
    return rows;
  });
}

async function questions(admin: Sql): Promise<Question[]> {
  const tables = await ownerTables(admin);
  return [
    ...tables.map(
      ({ name, condition }): Question => ({
        name: `rows of ${name}`,
        asOwner: `select * from billing.${name}`,
        asService: (userId) =>
          `select * from billing.${name} where ${condition.replaceAll(":owner", `'${userId}'::uuid`)}`,
      }),
    ),
    {
      name: "rows that need a feature",
      asOwner: "select * from public.exports",
      asService: (userId) => `select * from public.exports where owner = '${userId}'`,
    },
  ];
}

/** An application's table with the policy of the README, and users who have the feature. */
async function fillApplication(admin: Sql): Promise<void> {
  await admin.unsafe(`
    create table public.exports (id bigint primary key, owner uuid not null);
    insert into public.exports
    select n, ('00000000-0000-4000-8000-' || lpad((n % ${OWNERS})::text, 12, '0'))::uuid from generate_series(1, ${ROWS}) as n;
    create index exports_by_owner on public.exports (owner);
    analyze public.exports;
    alter table public.exports enable row level security;
    grant select on public.exports to authenticated, service_role;
    create policy exports_need_the_feature on public.exports
      for select to authenticated
      using (owner = (select auth.uid()) and (select billing.has_feature('export')));
    insert into billing.entitlements (owner_id, feature, sources, version, updated_at)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'export', '{sub_1}', 1, now()
    from generate_series(0, ${OWNERS - 1}) as n;
    analyze billing.entitlements;
  `);
}

/** An application's teams, and as many other members of other teams. */
async function letTeamsPay(admin: Sql): Promise<void> {
  await admin.unsafe(`
    create schema app;
    create table app.members (team_id uuid not null, user_id uuid not null, role text not null, primary key (user_id, team_id));
    insert into app.members
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, gen_random_uuid(), 'admin' from generate_series(1, ${OWNERS}) as n;
    create function app.my_teams(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language sql stable set search_path = '' as $$
      select m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = my_teams.user_id;
    $$;
    grant usage on schema app to postgres;
    grant select on app.members to postgres;
    analyze app.members;
    update billing.settings set owners_function = 'app.my_teams' where id;
  `);
}

async function compareWithService(api: Sql, { name, asOwner, asService }: Question): Promise<BenchRow[]> {
  const spent = { owner: 0, service: 0 };
  for (let round = -1; round < ROUNDS; round++) {
    const userId = ordinaryOwner(round + 1);
    const owner = await askAs(api, "authenticated", userId, asOwner, ROUND_QUERIES);
    const service = await askAs(api, "service_role", userId, asService(userId), ROUND_QUERIES);
    if (owner.rows === 0 || owner.rows !== service.rows)
      throw new Error(`${name}: ${owner.rows} rows as owner, ${service.rows} as service_role`);
    // Pages and the catalog are warm before time counts.
    if (round < 0) continue;
    spent.owner += owner.milliseconds;
    spent.service += service.milliseconds;
  }
  const rate = (milliseconds: number) => (ROUNDS * ROUND_QUERIES * 1000) / milliseconds;
  return [
    { name: `${name}, as service_role`, value: rate(spent.service), unit: "queries/s" },
    {
      name: `${name}, through row security`,
      value: rate(spent.owner),
      unit: "queries/s",
      ratio: spent.service / spent.owner,
      target: "beside service_role",
    },
  ];
}

/** The rows of one team beside as many rows of 200 teams, for a member of each. */
async function compareOwners(admin: Sql, api: Sql, table: string): Promise<BenchRow[]> {
  const { alone, sharers } = ownersOfEqualRows(table);
  const ofOne = await memberOf(admin, [alone]);
  const ofMany = await memberOf(admin, sharers);
  const query = `select * from billing.${table}`;
  const spent: { one: number[]; many: number[] } = { one: [], many: [] };
  const ratios: number[] = [];
  let rows = 0;
  for (let round = -1; round < ROUNDS; round++) {
    const one = await askAs(api, "authenticated", ofOne, query, ROUND_QUERIES_OF_MANY_ROWS);
    const many = await askAs(api, "authenticated", ofMany, query, ROUND_QUERIES_OF_MANY_ROWS);
    if (one.rows === 0 || one.rows !== many.rows)
      throw new Error(`${table}: ${one.rows} rows of one owner, ${many.rows} of ${SHARERS}`);
    rows = one.rows;
    if (round < 0) continue;
    spent.one.push(one.milliseconds);
    spent.many.push(many.milliseconds);
    ratios.push(many.milliseconds / one.milliseconds);
  }
  const rate = (samples: number[]) => (ROUND_QUERIES_OF_MANY_ROWS * 1000) / middle(samples);
  const ratio = middle(ratios);
  return [
    { name: `${rows} rows of ${table}, of one owner`, value: rate(spent.one), unit: "queries/s" },
    {
      name: `${rows} rows of ${table}, of ${SHARERS} owners`,
      value: rate(spent.many),
      unit: "queries/s",
      ratio,
      target: `at most ${MOST_COST_OF_SHARERS} times the cost of one owner's`,
      met: ratio <= MOST_COST_OF_SHARERS,
    },
  ];
}

/** A user who belongs to these teams and to no other. */
async function memberOf(admin: Sql, teams: string[]): Promise<string> {
  const [user] = await admin<{ id: string }[]>`select gen_random_uuid() as id`;
  if (!user) throw new Error("no user");
  await admin`
    insert into app.members (team_id, user_id, role)
    select team, ${user.id}, 'admin' from unnest(${teams}::text[]::uuid[]) as team`;
  await admin`analyze app.members`;
  return user.id;
}
