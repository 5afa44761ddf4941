/**
 * What row security costs a signed-in user: the own rows of each table, among a million, beside the same rows asked for
 * by service_role with the policy's own condition written out. And what has_feature costs a policy of an application's.
 * The two take turns in short rounds on one server, so that whatever else the machine does hits both.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { applyMigrations } from "../local/migrations.ts";
import { startPostgres } from "../local/postgres/server.ts";
import { fillOwnerTables, OWNERS, ownerId, ownerTables } from "./owner-tables.ts";
import type { BenchRow } from "./report.ts";

const ROWS = 1_000_000;
const ROUNDS = 40;
const ROUND_QUERIES = 25;

/** A query as it is put for one user. */
type Question = { name: string; asOwner: string; asService: (userId: string) => string };

/** Takes about a minute, with a server of its own in a temporary directory. */
export async function benchRowSecurity(): Promise<BenchRow[]> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  // Nothing is written while time counts.
  const server = await startPostgres({ directory, fsync: false });
  try {
    await applyMigrations(server.url);
    const admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
    const api = postgres(server.urlFor("authenticator", "postgres"), { max: 1, onnotice: () => {} });
    try {
      await fillOwnerTables(admin, ROWS);
      await fillApplication(admin);
      const rows: BenchRow[] = [];
      for (const question of await questions(admin)) rows.push(...(await compare(api, question)));
      return rows;
    } finally {
      await api.end();
      await admin.end();
    }
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
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

async function compare(api: Sql, { name, asOwner, asService }: Question): Promise<BenchRow[]> {
  const spent = { owner: 0, service: 0 };
  for (let round = -1; round < ROUNDS; round++) {
    const userId = ownerId(((round + 2) * 7919) % OWNERS);
    const owner = await ask(api, "authenticated", userId, asOwner);
    const service = await ask(api, "service_role", userId, asService(userId));
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

/** Asks as the Data API does: a role and claims for the transaction, then the query; here several times over. */
async function ask(api: Sql, role: string, userId: string, query: string) {
  return await api.begin(async (sql) => {
    const claims = JSON.stringify({ role, sub: userId });
    await sql`select set_config('role', ${role}, true), set_config('request.jwt.claims', ${claims}, true)`;
    let rows = 0;
    const started = performance.now();
    for (let times = 0; times < ROUND_QUERIES; times++) rows = (await sql.unsafe(query)).length;
    return { rows, milliseconds: performance.now() - started };
  });
}
