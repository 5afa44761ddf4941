import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deliverAll, differingRows, mirroredRows, readHistory } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const customers = Number(process.env.DUEBASE_HISTORY_CUSTOMERS ?? 24);
const isLarge = customers > 100;
const months = isLarge ? 36 : 6;
const patience = isLarge ? 4 * 3_600_000 : 120_000;

let account: StripeAccount;
let moved: TestDatabase;
let listened: TestDatabase;
/** What the backfill read, and how long it took. */
let read = 0;
let seconds = 0;

/** Vacuums and analyses as far more comes in, as autovacuum does in a project; the tests' server has none. */
function tidying(database: TestDatabase, every: number): (count: number, what?: string) => void {
  const owner = database.connect({ role: "supabase_admin" });
  let tidied = 0;
  let under: Promise<unknown> | undefined;
  return (count, what = "events") => {
    if (!isLarge || count - tidied < every || under !== undefined) return;
    tidied = count;
    console.log(`${count} in, ${what}, ${new Date().toISOString()}`);
    under = owner`vacuum (analyze)`.finally(() => {
      under = undefined;
    });
  };
}

beforeAll(async () => {
  account = await startAccountWithHistory({ customers, months, areLeaving: isLarge });
  // Renewals fall on the same second up to which the account was played: what happens since a backfill began is no history.
  await account.pass(0.1);
  [moved, listened] = await Promise.all([createTestDatabase(), createTestDatabase()]);
}, patience);
afterAll(async () => {
  await account?.close();
  await moved?.drop();
  await listened?.drop();
});

describe("an account that moves in", () => {
  test(
    "has the rows of one that listened from the first day",
    async () => {
      account.local.ledger.clear();
      const begun = performance.now();
      let objects = 0;
      const tidyMoved = tidying(moved, 5_000);
      const [result] = await Promise.all([
        readHistory(
          moved,
          account,
          { kind: "backfill" },
          {
            onPage: (step, read) => {
              objects += read;
              tidyMoved(objects, step);
              seconds = (performance.now() - begun) / 1000;
            },
          },
        ),
        deliverAll(listened, account, tidying(listened, 10_000)),
      ]);
      expect(result).toMatchObject({ outcome: "finished", run: { status: "complete", problems: 0 } });
      expect(differingRows(await mirroredRows(listened), await mirroredRows(moved))).toEqual([]);
      read = objects;
    },
    patience,
  );

  test("is told nothing, asked nothing and changed nothing: no mail, no call, no dunning case", async () => {
    const effects = await moved.sql`select kind, dedupe_key from billing.outbox where kind <> 'refresh'`;
    expect(effects).toEqual([]);
    expect((await moved.sql`select from billing.dunning_cases`).length).toBe(0);
    expect(account.local.ledger.requestsWhere({ method: "POST" })).toEqual([]);
    expect(account.local.ledger.effects).toEqual([]);
  });

  test("costs at most 1.3 calls for each page that there is", async () => {
    const reads = account.local.ledger.requestsWhere({ method: "GET" }).length;
    const [run] = await moved.sql<{ calls: string; pages: string }[]>`
      select r.calls, (select sum(s.pages) from billing.history_steps as s where s.run_id = r.id) as pages
      from billing.history_runs as r
    `;
    // The key is checked on every list once.
    const checks = 15;
    expect(reads - checks).toBeLessThanOrEqual(Number(run?.pages) * 1.3);
    expect(Number(run?.calls)).toBe(reads);
    console.log(
      `${customers} customers, ${months} months: ${read} objects in ${reads} calls for ${run?.pages} pages, ${Math.round(seconds)} s`,
    );
  });

  test(
    "has the entitlements of every payer as soon as their customers are linked",
    async () => {
      const users = account.customers.map((customer) => ({ customer, owner_id: randomUUID() }));
      const entitlements: Record<string, unknown>[][] = [];
      for (const { sql } of [moved, listened]) {
        await sql`insert into auth.users (id) select unnest(${users.map(({ owner_id }) => owner_id)}::uuid[])`;
        for (let at = 0; at < users.length; at += 500) {
          const links = sql.json(users.slice(at, at + 500));
          const outcomes =
            await sql`select distinct outcome from billing.link_customers(${links}, p_now => ${account.now()})`;
          expect(outcomes).toEqual([{ outcome: "linked" }]);
        }
        entitlements.push([
          ...(await sql`select owner_id, feature, sources, valid_until from billing.entitlements order by 1, 2`),
        ]);
      }
      const [here, there] = entitlements;
      expect(here).toEqual(there);
      const payers = await moved.sql<{ owner_id: string }[]>`
      select distinct c.owner_id from billing.subscriptions as s
      join billing.customers as c on c.id = s.customer
      where s.status in ('active', 'trialing')
    `;
      const entitled = new Set(here?.map(({ owner_id }) => owner_id));
      expect(payers.length).toBeGreaterThan(5);
      expect(payers.filter(({ owner_id }) => !entitled.has(owner_id))).toEqual([]);
    },
    patience,
  );

  test("keeps what is overdue as old debts, which only a person's word has dunned", async () => {
    const overdue = await moved.sql<{ invoice: string; customer: string; overdue_since: Date }[]>`
      select invoice, customer, overdue_since from billing_private.overdue_invoices where overdue_since <= ${account.now()}
    `;
    const anchors = await listened.sql`
      select invoice, customer, overdue_since from billing_private.overdue_invoices where overdue_since <= ${account.now()}
    `;
    expect(overdue.length).toBeGreaterThan(0);
    expect([...overdue].sort(byInvoice)).toEqual([...anchors].sort(byInvoice));
    const [shown] = await moved.sql`
      select sum(amount)::integer as amount, sum(customers)::integer as customers, min(oldest_since) as since
      from billing.revenue_at_risk where stage = 'old_debt'
    `;
    const [owed] = await moved.sql`
      select sum(amount_remaining)::integer as amount, count(distinct customer)::integer as customers, min(overdue_since) as since
      from billing_private.overdue_invoices where overdue_since <= ${account.now()}
    `;
    expect(shown).toEqual(owed);
    for (const debtor of new Set(overdue.map(({ customer }) => customer))) {
      const [row] =
        await moved.sql`select billing_private.open_dunning_cases(${debtor}, ${account.now()}) as opened`;
      expect(row?.opened).toBe(false);
    }
    const [released] = overdue;
    expect(
      await moved.sql`select * from billing.release_debts(${[released?.invoice ?? ""]}, ${account.now()})`,
    ).toEqual([{ invoice: released?.invoice, outcome: "released" }]);
    const cases = await moved.sql`
      select c.customer, array_agg(k.invoice) as invoices from billing.dunning_cases as c
      join billing.dunning_case_invoices as k on k.case_id = c.id group by 1
    `;
    expect(cases).toEqual([{ customer: released?.customer, invoices: [released?.invoice] }]);
  });

  test(
    "read a second time changes nothing",
    async () => {
      const before = await mirroredRows(moved);
      expect(await readHistory(moved, account)).toMatchObject({
        outcome: "finished",
        run: { status: "complete" },
      });
      expect(differingRows(before, await mirroredRows(moved))).toEqual([]);
    },
    patience,
  );
});

const byInvoice = (a: { invoice?: string }, b: { invoice?: string }) =>
  (a.invoice ?? "").localeCompare(b.invoice ?? "");
