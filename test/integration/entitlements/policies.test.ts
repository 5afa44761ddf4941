import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { Story, tell } from "./story.ts";

// The policy that README.md and docs/entitlements.md show, as it stands there, on a table as an application would have it.

/** The policy that a page shows. */
function policyIn(page: string): string {
  const text = readFileSync(join(import.meta.dirname, "../../..", page), "utf8");
  const policy = /```sql\n(create policy exports_need_the_feature[^`]*)```/.exec(text)?.[1];
  if (!policy) throw new Error(`${page} shows no policy`);
  return policy;
}

let database: TestDatabase;
let payer: string;
let other: string;
beforeAll(async () => {
  database = await createTestDatabase();
  const [policy, alsoShown] = ["README.md", "docs/entitlements.md"].map((page) => policyIn(page));
  expect(alsoShown).toBe(policy);
  await database.sql.unsafe(`
    create table public.exports (id bigint generated always as identity primary key, owner uuid not null);
    alter table public.exports enable row level security;
    grant select on public.exports to anon, authenticated;
    ${policy}
  `);
  [payer, other] = [await database.signUp(), await database.signUp()];
  for (const owner of [payer, other])
    await database.sql`insert into public.exports (owner) select ${owner}::uuid from generate_series(1, 1000)`;
  const story = new Story();
  await tell(database, story.product("export"), story.customer(payer), story.subscription());
});
afterAll(() => database.drop());

const seenBy = (user: string) =>
  database.asUser(user, async (sql) =>
    (await sql`select owner from public.exports`).map((row) => row.owner as string),
  );

it("the policy in the README shows rows to who has the feature, and only their own", async () => {
  const seen = await seenBy(payer);
  expect(seen).toHaveLength(1000);
  expect(new Set(seen)).toEqual(new Set([payer]));
  expect(await seenBy(other)).toEqual([]);
});

it("it asks once a query, not once a row", async () => {
  const plan = await database.asUser(payer, async (sql) => {
    const [row] = await sql`explain (analyze, format json, timing off) select * from public.exports`;
    return JSON.stringify(row);
  });
  // has_feature stands in a node of its own, run once, and in no filter that is run for each row.
  expect(plan).not.toMatch(/"Filter":"[^"]*has_feature/);
  expect(plan).toMatch(/"Subplan Name":"InitPlan \d/);
});

it("it shows nothing to somebody without a session, and an end of the feature ends it", async () => {
  expect(await database.asAnon((sql) => sql`select * from public.exports`)).toEqual([]);
  await database.sql`delete from billing.entitlements where owner_id = ${payer}`;
  expect(await seenBy(payer)).toEqual([]);
});
