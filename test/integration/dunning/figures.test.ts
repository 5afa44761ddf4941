import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { book } from "./case-book.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const outcomes = () =>
  database.asService(async (sql) => {
    // Whatever time zone whoever asks has set: months are UTC's.
    await sql`set local time zone 'America/New_York'`;
    return sql`
      select
        month::text, currency, opened::int, still_open::int, held::int, recovered::int, recovered_before_notice::int,
        recovered_after_notice::int, recovered_after_urgent_reminder::int, recovered_after_final_warning::int, lost::int,
        let_off::int, settled_without_payment::int, recovery_rate::float, median_days_to_recover::float, amount_due::int, amount_recovered::int,
        amount_lost::int, amount_forgiven::int, amount_open::int
      from billing.dunning_outcomes order by month, currency`;
  });
const atRisk = () =>
  database.asService(
    (sql) => sql`
      select
        currency, stage, cases::int, held::int, customers::int, amount::int, amount_held::int,
        to_char(oldest_since at time zone 'UTC', 'YYYY-MM-DD') as oldest_since
      from billing.revenue_at_risk order by currency, amount desc`,
  );

const mails = (...kinds: string[]) => kinds.map((kind) => ({ kind }));

describe("billing.dunning_outcomes", () => {
  test("is empty while nothing has been overdue", async () => {
    expect(await outcomes()).toEqual([]);
  });

  test("counts each case once, by how it ended", async () => {
    await book(database, {});
    await book(database, { holds: ["dispute"] });
    await book(database, { outcome: "recovered" });
    await book(database, { outcome: "settled_without_payment" });
    for (const outcome of ["ended", "uncollectible", "subscription_ended", "customer_deleted"]) {
      await book(database, { outcome });
    }
    await book(database, { outcome: "voided" });
    await book(database, { outcome: "closed_by_hand" });
    expect(await outcomes()).toMatchObject([
      {
        opened: 10,
        still_open: 2,
        held: 1,
        recovered: 1,
        settled_without_payment: 1,
        lost: 4,
        let_off: 2,
        recovery_rate: 0.2,
      },
    ]);
  });

  test("tells after which mail a payment came: the last that had left, not one that was only due", async () => {
    const recovered = { outcome: "recovered" };
    await book(database, recovered);
    await book(database, { ...recovered, steps: [{ kind: "notice", status: "canceled" }] });
    await book(database, { ...recovered, steps: mails("notice") });
    await book(database, { ...recovered, steps: mails("notice", "urgent_reminder") });
    await book(database, {
      ...recovered,
      steps: [...mails("notice"), { kind: "urgent_reminder", status: "skipped" }, { kind: "final_warning" }],
    });
    await book(database, {
      ...recovered,
      steps: [...mails("notice", "urgent_reminder"), { kind: "final_warning", status: "undeliverable" }],
    });
    await book(database, { outcome: "ended", steps: mails("notice", "urgent_reminder", "final_warning") });
    expect(await outcomes()).toMatchObject([
      {
        recovered: 6,
        recovered_before_notice: 2,
        recovered_after_notice: 1,
        recovered_after_urgent_reminder: 2,
        recovered_after_final_warning: 1,
      },
    ]);
  });

  test("adds amounts up, each in its currency and the month the case was opened in", async () => {
    await book(database, { amountDue: 2000, outcome: "recovered" });
    await book(database, { amountDue: 3000, outcome: "ended", amountRecovered: 1000 });
    await book(database, { amountDue: 500 });
    await book(database, { currency: "jpy", amountDue: 980, outcome: "recovered" });
    // 31 May in New York and 1 June in UTC.
    await book(database, { openedAt: "2026-05-31T22:00:00-04:00", amountDue: 100 });
    expect(await outcomes()).toMatchObject([
      {
        month: "2026-05-01",
        currency: "jpy",
        opened: 1,
        amount_due: 980,
        amount_recovered: 980,
        amount_lost: 0,
      },
      {
        month: "2026-05-01",
        currency: "usd",
        opened: 3,
        amount_due: 5500,
        amount_recovered: 3000,
        amount_lost: 2000,
        amount_open: 500,
      },
      { month: "2026-06-01", currency: "usd", opened: 1, amount_due: 100, amount_open: 100 },
    ]);
  });

  test("counts what nobody owes any more as forgiven, and what came of it not", async () => {
    await book(database, { outcome: "settled_without_payment", amountDue: 900, amountRecovered: 100 });
    await book(database, { outcome: "closed_by_hand", amountDue: 50 });
    await book(database, { outcome: "voided", amountDue: 7 });
    await book(database, { amountDue: 300, amountRecovered: 120 });
    const [sums] = await outcomes();
    expect(sums).toMatchObject({
      amount_due: 1257,
      amount_recovered: 220,
      amount_lost: 0,
      amount_forgiven: 857,
      amount_open: 180,
    });
  });

  test("gives the median of days from the first failure on, of what was recovered", async () => {
    const overdueSince = "2026-05-10T00:00:00Z";
    for (const closedAt of ["2026-05-11T00:00:00Z", "2026-05-13T12:00:00Z", "2026-06-30T00:00:00Z"]) {
      await book(database, { outcome: "recovered", overdueSince, closedAt });
    }
    await book(database, { outcome: "ended", overdueSince, closedAt: "2026-12-01T00:00:00Z" });
    expect(await outcomes()).toMatchObject([{ median_days_to_recover: 3.5, recovery_rate: 0.75 }]);
  });

  test("leaves rate and median open where nothing has come to an end", async () => {
    await book(database, {});
    await book(database, { outcome: "voided" });
    expect(await outcomes()).toMatchObject([{ recovery_rate: null, median_days_to_recover: null }]);
  });

  test("agrees with counting by hand over random books", async () => {
    console.log(`random books: DUEBASE_SEED=${SEED}`);
    const random = new Random(SEED);
    const cases = Array.from({ length: 60 }, () => {
      const sent = random.int(0, 3);
      return {
        currency: random.pick(["usd", "eur"]),
        openedAt: random.pick(["2026-04-30T23:59:59Z", "2026-05-01T00:00:00Z"]),
        closedAt: "2026-06-01T00:00:00Z",
        amountDue: random.int(1, 9999),
        outcome: random.pick([null, "recovered", "recovered", "ended", "voided"]),
        steps: mails(...["notice", "urgent_reminder", "final_warning"].slice(0, sent)),
      };
    });
    for (const it of cases) await book(database, it);
    const rows = await outcomes();
    expect(rows).toHaveLength(4);
    for (const row of rows) {
      const mine = cases.filter(
        (it) => it.currency === row.currency && it.openedAt.slice(0, 7) === String(row.month).slice(0, 7),
      );
      const of = (outcome: string | null) => mine.filter((it) => it.outcome === outcome);
      const due = (some: typeof mine) => some.reduce((sum, it) => sum + it.amountDue, 0);
      const paidAfter = (sent: number) => of("recovered").filter((it) => it.steps.length === sent).length;
      expect(row).toMatchObject({
        opened: mine.length,
        still_open: of(null).length,
        recovered: of("recovered").length,
        recovered_before_notice: paidAfter(0),
        recovered_after_notice: paidAfter(1),
        recovered_after_urgent_reminder: paidAfter(2),
        recovered_after_final_warning: paidAfter(3),
        lost: of("ended").length,
        let_off: of("voided").length,
        amount_due: due(mine),
        amount_recovered: due(of("recovered")),
        amount_lost: due(of("ended")),
        amount_forgiven: due(of("voided")),
        amount_open: due(of(null)),
      });
    }
  });
});

describe("billing.revenue_at_risk", () => {
  test("is empty when everything is paid or given up", async () => {
    await book(database, { outcome: "recovered" });
    await book(database, { outcome: "ended" });
    expect(await atRisk()).toEqual([]);
  });

  test("adds up what remains of open cases, by currency and the step taken last", async () => {
    await book(database, { amountDue: 700 });
    await book(database, { amountDue: 900, remaining: 400, steps: mails("notice"), customer: "cus_same" });
    await book(database, {
      openedAt: "2026-04-01T00:00:00Z",
      amountDue: 100,
      steps: mails("notice"),
      customer: "cus_same",
      holds: ["manual"],
    });
    await book(database, {
      amountDue: 50,
      steps: [...mails("notice", "urgent_reminder"), { kind: "final_warning", status: "planned" }],
    });
    await book(database, { amountDue: 30, currency: "eur", steps: mails("notice") });
    const none = { held: 0, amount_held: 0, customers: 1, cases: 1, oldest_since: "2026-05-10" };
    expect(await atRisk()).toEqual([
      { ...none, currency: "eur", stage: "notice", amount: 30 },
      { ...none, currency: "usd", stage: "not_told", amount: 700 },
      {
        currency: "usd",
        stage: "notice",
        cases: 2,
        held: 1,
        customers: 1,
        amount: 500,
        amount_held: 100,
        oldest_since: "2026-04-01",
      },
      { ...none, currency: "usd", stage: "final_warning", amount: 50 },
    ]);
  });

  test("shows old debts apart, until a person releases them", async () => {
    await database.sql`update billing.settings set adopted_at = '2026-05-01T00:00:00Z' where id`;
    for (const id of ["in_old_1", "in_old_2"])
      await database.sql`
        insert into billing.invoices (id, customer, status, currency, amount_due, amount_remaining, collection_method, due_date)
        values (${id}, 'cus_old', 'open', 'usd', 900, 900, 'send_invoice', '2026-01-05T00:00:00Z')`;
    const old = { held: 0, amount_held: 0, customers: 1, currency: "usd", oldest_since: "2026-01-05" };
    expect(await atRisk()).toEqual([{ ...old, stage: "old_debt", cases: 2, amount: 1800 }]);
    await database.sql`select * from billing.release_debts(array['in_old_1'])`;
    const after = await atRisk();
    expect(after.map(({ stage, cases, amount }) => [stage, cases, amount]).sort()).toEqual([
      ["not_told", 1, 900],
      ["old_debt", 1, 900],
    ]);
  });

  test("counts no invoice that was paid, voided or deleted meanwhile", async () => {
    const id = await book(database, { amountDue: 700 });
    for (const change of [
      "status = 'paid'",
      "status = 'open', amount_remaining = 0",
      "amount_remaining = 7, deleted_at = now()",
    ]) {
      await database.sql.unsafe(`update billing.invoices set ${change} where id = 'in_case_${id}'`);
      expect(await atRisk()).toEqual([]);
    }
  });
});
