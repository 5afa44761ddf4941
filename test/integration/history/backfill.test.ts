import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deliverAll, mirroredRows, readHistory } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const customers = Number(process.env.DUEBASE_HISTORY_CUSTOMERS ?? 24);
const months = customers > 100 ? 36 : 6;

let account: StripeAccount;
let moved: TestDatabase;
let listened: TestDatabase;

beforeAll(async () => {
  account = await startAccountWithHistory({ customers, months });
  [moved, listened] = await Promise.all([createTestDatabase(), createTestDatabase()]);
}, 600_000);
afterAll(async () => {
  await account?.close();
  await moved?.drop();
  await listened?.drop();
});

describe("an account that moves in", () => {
  test("has the rows of one that listened from the first day", async () => {
    account.local.ledger.clear();
    const result = await readHistory(moved, account);
    expect(result).toMatchObject({ outcome: "finished", run: { status: "complete", problems: 0 } });
    await deliverAll(listened, account);
    const [there, here] = [await mirroredRows(listened), await mirroredRows(moved)];
    for (const [table, rows] of Object.entries(there)) expect.soft(here[table], table).toEqual(rows);
  }, 600_000);

  test("is told nothing, asked nothing and changed nothing: no mail, no call, no dunning case", async () => {
    const effects =
      await moved.sql`select kind, count(*) from billing.outbox where kind <> 'refresh' group by 1`;
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
  });

  test("keeps what is overdue as old debts, which only a person's word has dunned", async () => {
    const overdue = await moved.sql<{ invoice: string; customer: string; overdue_since: Date }[]>`
      select invoice, customer, overdue_since from billing_private.overdue_invoices where overdue_since <= ${account.now()}
    `;
    const anchors = await listened.sql`
      select invoice, customer, overdue_since from billing_private.overdue_invoices where overdue_since <= ${account.now()}
    `;
    expect(overdue.length).toBeGreaterThan(0);
    expect([...overdue].sort(byInvoice)).toEqual([...anchors].sort(byInvoice));
    for (const debtor of new Set(overdue.map(({ customer }) => customer))) {
      const [row] =
        await moved.sql`select billing_private.open_dunning_cases(${debtor}, ${account.now()}) as opened`;
      expect(row?.opened).toBe(false);
    }
  });

  test("read a second time changes nothing", async () => {
    const before = await mirroredRows(moved);
    expect(await readHistory(moved, account)).toMatchObject({
      outcome: "finished",
      run: { status: "complete" },
    });
    expect(await mirroredRows(moved)).toEqual(before);
  }, 600_000);
});

const byInvoice = (a: { invoice?: string }, b: { invoice?: string }) =>
  (a.invoice ?? "").localeCompare(b.invoice ?? "");
