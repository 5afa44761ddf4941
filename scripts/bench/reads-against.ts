/**
 * What a signed-in user's own rows cost now, beside an older build: two databases on one server, filled alike, that take
 * turns in short rounds. Whatever else the machine does hits both.
 */
import type { Sql } from "postgres";
import { middle, withBuilds } from "./builds.ts";
import { fillOwnerTables, ordinaryOwner, ownerTables } from "./owner-tables.ts";
import type { BenchRow } from "./report.ts";
import { askAs } from "./signed-in.ts";

/** Of each table; a user has two of them, so that what a query costs before it reads a row weighs most. */
const ROWS = 200_000;
const ROUNDS = 60;
const ROUND_QUERIES = 25;
const LEAST_SHARE = 0.9;

/**
 * Asks both builds for the own rows of each table that users read in both, as the Data API does. Takes about five
 * minutes, with a server of its own in a temporary directory.
 *
 * @param commit whose migrations the older build is made of; any name that git knows it by
 * @throws Error where git knows no such commit, or where the two builds show a user other rows
 */
export function benchReadsAgainst(commit: string): Promise<BenchRow[]> {
  // Nothing is written while time counts.
  return withBuilds(commit, { fsync: false }, async (connect) => {
    const read: string[][] = [];
    for (const database of ["older", "current"]) {
      const admin = connect("supabase_admin", database);
      await fillOwnerTables(admin, ROWS);
      read.push((await ownerTables(admin)).map(({ name }) => name));
    }
    const [before = [], now = []] = read;
    const api = { older: connect("authenticator", "older"), current: connect("authenticator", "current") };
    const rows: BenchRow[] = [];
    for (const table of before.filter((name) => now.includes(name)))
      rows.push(...(await compare(commit, api.older, api.current, table)));
    return rows;
  });
}

async function compare(commit: string, older: Sql, current: Sql, table: string): Promise<BenchRow[]> {
  const ratios: number[] = [];
  const spent: [number[], number[]] = [[], []];
  const ask = (build: Sql, user: string) =>
    askAs(build, "authenticated", user, `select * from billing.${table}`, ROUND_QUERIES);
  for (let round = -3; round < ROUNDS; round++) {
    const user = ordinaryOwner(round + 3);
    // Each is first as often as the other.
    const first = round % 2 === 0 ? await ask(older, user) : undefined;
    const now = await ask(current, user);
    const before = first ?? (await ask(older, user));
    if (before.rows === 0 || before.rows !== now.rows)
      throw new Error(`${table}: ${before.rows} rows in ${commit}, ${now.rows} now`);
    if (round < 0) continue;
    spent[0].push(before.milliseconds);
    spent[1].push(now.milliseconds);
    ratios.push(before.milliseconds / now.milliseconds);
  }
  const rate = (samples: number[]) => (ROUND_QUERIES * 1000) / middle(samples);
  const ratio = middle(ratios);
  return [
    { name: `a user's own rows of ${table}, ${commit}`, value: rate(spent[0]), unit: "queries/s" },
    {
      name: `a user's own rows of ${table}, now`,
      value: rate(spent[1]),
      unit: "queries/s",
      ratio,
      target: `at least ${LEAST_SHARE} of ${commit}`,
      met: ratio >= LEAST_SHARE,
    },
  ];
}
