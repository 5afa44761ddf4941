/**
 * What a signed-in user's own rows, and the functions about the user, cost now, beside an older build: two databases on one
 * server, filled alike, that take turns in short rounds. Whatever else the machine does hits both.
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

/** What an application asks of functions about its user, by the names they have had: the newest first. */
const QUESTIONS: Record<string, string[]> = {
  has_feature: ["select billing.has_feature('export')"],
  my_usage: [
    "select * from billing.my_usage('api_calls')",
    "select * from billing.current_usage('api_calls')",
  ],
  my_billing_status: ["select count(*) from billing.my_billing_status()"],
};

/**
 * Asks both builds for the own rows of each table that users read in both, and what functions say about the user, as the
 * Data API does. Takes about five minutes, with a server of its own in a temporary directory.
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
    const inTurns = (name: string, before: string, now: string) =>
      compare(commit, name, { sql: api.older, query: before }, { sql: api.current, query: now });
    for (const table of before.filter((name) => now.includes(name))) {
      const query = `select * from billing.${table}`;
      rows.push(...(await inTurns(`a user's own rows of ${table}`, query, query)));
    }
    for (const [name, queries] of Object.entries(QUESTIONS)) {
      const [known, present] = [await firstKnown(api.older, queries), await firstKnown(api.current, queries)];
      rows.push(...(await inTurns(`${name} of a user`, known, present)));
    }
    return rows;
  });
}

/** A query, and who is asked. */
interface Asked {
  sql: Sql;
  query: string;
}

/** The first of some queries that a build can answer. */
async function firstKnown(build: Sql, queries: string[]): Promise<string> {
  for (const query of queries) {
    const isKnown = await askAs(build, "authenticated", ordinaryOwner(0), query, 1).then(
      () => true,
      (error: { code?: string }) => {
        // No function of that name.
        if (error.code === "42883") return false;
        throw error;
      },
    );
    if (isKnown) return query;
  }
  throw new Error(`none of these can be asked: ${queries.join("; ")}`);
}

async function compare(commit: string, name: string, older: Asked, current: Asked): Promise<BenchRow[]> {
  const ratios: number[] = [];
  const spent: [number[], number[]] = [[], []];
  const ask = (build: Asked, user: string) =>
    askAs(build.sql, "authenticated", user, build.query, ROUND_QUERIES);
  for (let round = -3; round < ROUNDS; round++) {
    const user = ordinaryOwner(round + 3);
    // Each is first as often as the other.
    const first = round % 2 === 0 ? await ask(older, user) : undefined;
    const now = await ask(current, user);
    const before = first ?? (await ask(older, user));
    if (before.rows === 0 || before.rows !== now.rows)
      throw new Error(`${name}: ${before.rows} rows in ${commit}, ${now.rows} now`);
    if (round < 0) continue;
    spent[0].push(before.milliseconds);
    spent[1].push(now.milliseconds);
    ratios.push(before.milliseconds / now.milliseconds);
  }
  const rate = (samples: number[]) => (ROUND_QUERIES * 1000) / middle(samples);
  const ratio = middle(ratios);
  return [
    { name: `${name}, ${commit}`, value: rate(spent[0]), unit: "queries/s" },
    {
      name: `${name}, now`,
      value: rate(spent[1]),
      unit: "queries/s",
      ratio,
      target: `at least ${LEAST_SHARE} of ${commit}`,
      met: ratio >= LEAST_SHARE,
    },
  ];
}
