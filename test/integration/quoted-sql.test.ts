import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { DunningWorld, type Subscriber } from "../support/dunning-world.ts";
import { overdueSubscriber } from "./dunning/overdue.ts";

// Every block of SQL on every page runs, as it stands there but for the ids, on a database where somebody pays and is overdue.
// Those that say what they are for (`<!-- run: … -->`, `<!-- from: … -->`) are run or compared by the test of their page as well.

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "supabase/README.md",
  "supabase/functions/README.md",
  "emails/README.md",
  ...readdirSync(join(projectRoot, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** Blocks that only another test can run, by how they begin, with that test. */
const RUN_ELSEWHERE: readonly (readonly [begins: string, test: string])[] = [
  // psql's own command. What it leaves is put back by the block after it, in that test.
  ["\\copy file from", "test/integration/export.test.ts"],
  ["create temporary table archive", "test/integration/export.test.ts"],
  ["do $restore$", "test/integration/export.test.ts"],
];

interface Block {
  page: string;
  line: number;
  sql: string;
  mark: string | undefined;
}

const blocks: Block[] = PAGES.flatMap((page) => {
  const text = readFileSync(join(projectRoot, page), "utf8");
  return [...text.matchAll(/(?:<!-- (run|from): [^>]*-->\s+)?```sql\n([\s\S]*?)\n *```/g)].map(
    ({ index, 1: mark, 2: sql = "" }) => ({
      page,
      line: text.slice(0, index).split("\n").length,
      sql,
      mark,
    }),
  );
});
const elsewhere = ({ sql }: Block) => RUN_ELSEWHERE.find(([begins]) => sql.startsWith(begins))?.[1];
const here = blocks.filter((block) => block.mark === undefined && elsewhere(block) === undefined);

/** What a page takes for granted: tables of an application's. */
const APPLICATION = `
  create table public.exports (id bigint generated always as identity primary key, owner uuid not null);
  create table public.images (request_id text primary key, owner uuid not null, prompt text not null);
  create schema my_app;
  create table my_app.thank_you_notes (invoice text primary key);
`;

let world: DunningWorld;
let somebody: Subscriber;
let product: string;
beforeAll(async () => {
  world = await DunningWorld.open();
  somebody = await overdueSubscriber(world);
  const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
  product = String(items.data[0]?.price.product);
  await world.database.sql.unsafe(APPLICATION);
});
afterAll(() => world.close());

/** Runs a block with the world's ids in place of the page's, and undoes it. */
async function run(sql: string): Promise<Record<string, unknown>[][]> {
  const own = sql
    .replaceAll("cus_...", somebody.customer)
    .replaceAll("prod_...", product)
    .replaceAll("ada@example.com", somebody.email);
  const undone = new Error("undone");
  let rows: Record<string, unknown>[][] = [];
  const play = async (transaction: TransactionSql) => {
    const results = (await transaction.unsafe(own)) as unknown as Record<string, unknown>[][];
    // One statement gives its rows, several give a list of them.
    rows = results.length > 0 && Array.isArray(results[0]) ? [...results] : [[...results] as never];
    throw undone;
  };
  await world.database.sql.begin(play).catch((error: unknown) => {
    if (error !== undone) throw error;
  });
  return rows;
}

const shown = (page: string, begins: string): string => {
  const block = blocks.find((it) => it.page === page && it.sql.startsWith(begins));
  if (!block) throw new Error(`${page} shows no block that begins with ${begins}`);
  return block.sql;
};

test("there are pages with SQL, and what another test runs is there", () => {
  expect(here.length).toBeGreaterThan(20);
  for (const [begins, path] of RUN_ELSEWHERE) {
    expect(blocks.filter(({ sql }) => sql.startsWith(begins))).not.toEqual([]);
    expect(existsSync(join(projectRoot, path))).toBe(true);
  }
});

describe.each(here)("$page, line $line", ({ sql }) => {
  test(`runs: ${sql.split("\n")[0]}`, async () => {
    await run(sql);
  });
});

describe("the first questions are answered by what their pages say", () => {
  test("who pays: the one who subscribes, with what it comes to in a month", async () => {
    const [paying, all, revenue] = await run(shown("docs/customers.md", "select email, products"));
    expect(paying).toMatchObject([{ email: somebody.email, monthly_amount: "2000", currency: "usd" }]);
    expect(all).toMatchObject([{ email: somebody.email, status: "past_due" }]);
    expect(revenue).not.toEqual([]);
  });

  test("why they were mailed: the mails in order, with the step of dunning", async () => {
    const [mails] = await run(shown("docs/customers.md", "select e.sent_at"));
    expect(mails?.map(({ template, step }) => [template, step])).toEqual([
      ["payment-receipt", null],
      ["payment-failed-notice", "notice"],
    ]);
  });

  test("hold a case: it is found, held with a reason, and let go", async () => {
    const results = await run(shown("docs/dunning.md", "select c.id, u.email"));
    expect(results[0]).toMatchObject([{ id: "1", email: somebody.email, holds: [] }]);
    expect(results[2]).toEqual([{ release_dunning: 1 }]);
    expect(results[4]).toEqual([{ release_dunning: 1 }]);
  });

  test("change the ladder: the new one is in force, and the open case keeps its own", async () => {
    const [, steps] = await run(
      shown("docs/dunning.md", "select billing.define_dunning_policy(\n  'default'"),
    );
    expect(
      steps?.map(({ name, version, end_action, day, kind }) => [name, version, end_action, day, kind]),
    ).toEqual([
      ["default", 2, "pause", 0, "notice"],
      ["default", 2, "pause", 7, "urgent_reminder"],
      ["default", 2, "pause", 17, "final_warning"],
      ["default", 2, "pause", 24, "end"],
    ]);
  });

  test("refund: the payment is found, refunded at Stripe, and told of in rows and by one mail", async () => {
    const [payments] = await run(shown("docs/checkout.md", "select p.id"));
    expect(payments).toMatchObject([{ amount: "2000", amount_refunded: "0", outcome: "paid" }]);
    await world.stripe.refunds.create({ payment_intent: String(payments?.[0]?.id), amount: 1000 });
    await world.arrive();
    await world.deliver();
    const [refunded] = await run(shown("docs/checkout.md", "select p.id"));
    expect(refunded).toMatchObject([{ amount_refunded: "1000", outcome: "partially_refunded" }]);
    expect(world.mailsTo(somebody.email).filter((template) => template === "refund-issued")).toHaveLength(1);
    const [day] = await world.database.sql`select sum(refunded)::text as refunded from billing.revenue`;
    expect(day?.refunded).toBe("1000");
  });
});
