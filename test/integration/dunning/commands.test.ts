import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { reading, UnusableDatabase } from "../../../scripts/duebase/connections/reading.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { runDuebase } from "../../support/duebase-command.ts";
import { book } from "./case-book.ts";

// Each start of the command takes seconds on a busy machine, and a test has up to four.
vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "duebase-dunning-"));
});
afterAll(async () => {
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

/** `npm run dunning -- …`. */
const dunning = (...args: string[]) => runDuebase(["dunning", ...args]);
const here = (...args: string[]) => dunning("--db-url", database.url, ...args);

describe("where there is no database to read", () => {
  test("says how to get one", async () => {
    const ended = await dunning("--dir", folder, "report");
    expect(ended).toMatchObject({ code: 1, output: "" });
    expect(ended.problem).toMatch(/--db-url.*npm run dev/);
  });

  test("says so without a stack trace, and never repeats a password", async () => {
    const secret = "canary";
    for (const url of [
      `postgresql://postgres:${secret}@127.0.0.1:9/x`,
      `postgresql://postgres:${secret}@[`,
    ]) {
      const ended = await dunning("--db-url", url, "status");
      expect(ended.code).toBe(1);
      expect(ended.problem).toMatch(/cannot be reached|no connection string/);
      expect(ended.problem).not.toMatch(/canary|\n\s+at /);
    }
  });

  test("says that migrations are missing where they are", async () => {
    const bare = new URL(database.adminUrl);
    bare.pathname = "/template1";
    const ended = await dunning("--db-url", bare.href, "report");
    expect(ended).toMatchObject({
      code: 1,
      problem: expect.stringMatching(/has no dunning.*\n.*apply the migrations/i),
    });
  });

  test("refuses times without a zone and numbers that are none, before it looks for one", async () => {
    for (const args of [
      ["preview", "--at", "2026-12-01T09:00"],
      ["preview", "--at", "soon"],
      ["report", "--months", "0"],
      ["status", "--limit", "few"],
    ]) {
      const ended = await dunning("--dir", folder, ...args);
      expect(ended.code).toBe(2);
      expect(ended.problem).toMatch(/not a (time|whole number)/);
    }
  });
});

test("finds the database of the local stack by its status.json", async () => {
  await writeFile(join(folder, "status.json"), JSON.stringify({ DB_URL: database.url }));
  const ended = await dunning("--dir", folder, "status");
  expect(ended).toMatchObject({ code: 0, output: expect.stringContaining("No case is open") });
});

test("can change nothing, whatever it might try", async () => {
  const place = { dbUrl: database.url, stackDirectory: folder };
  await expect(
    reading(place, "dunning", (sql) => sql`update billing.settings set app_name = 'x' where id`),
  ).rejects.toMatchObject({ code: "25006" });
  await expect(
    reading(
      { ...place, dbUrl: database.urlFor("authenticator") },
      "dunning",
      (sql) => sql`select from billing.settings`,
    ),
  ).rejects.toThrow(UnusableDatabase);
});

describe("report", () => {
  const page = () => join(folder, "report", "page.html");
  const report = (...args: string[]) => here("report", "--out", page(), ...args);
  const thisMonth = new Date().toISOString().slice(0, 7);

  test("says that nothing has been overdue while nothing has", async () => {
    expect((await report()).output).toContain("No payment has been overdue");
    expect(await readFile(page(), "utf8")).toContain("No payment has been overdue");
  });

  describe("of some cases", () => {
    beforeAll(async () => {
      const openedAt = `${thisMonth}-01T00:00:00Z`;
      const closed = { openedAt, closedAt: `${thisMonth}-02T12:00:00Z` };
      await book(database, {
        ...closed,
        amountDue: 123456,
        outcome: "recovered",
        steps: [{ kind: "notice" }],
      });
      await book(database, { ...closed, amountDue: 2000, outcome: "ended" });
      await book(database, { openedAt, amountDue: 4000, holds: ["dispute"], customer: "cus_held" });
      await book(database, { ...closed, currency: "jpy", amountDue: 980, outcome: "recovered" });
      await book(database, { openedAt, currency: null, amountDue: 7 });
      await book(database, { openedAt: "2020-01-01T00:00:00Z", amountDue: 999_999, outcome: "recovered" });
    });

    test("tells in the terminal what was recovered, by month and mail, and what is at risk", async () => {
      const { code, output } = await report();
      expect(code).toBe(0);
      expect(output).toContain(
        "USD: $1,234.56 of $1,294.56 recovered, 50% of 2 cases that ended; $0.00 forgiven; $40.00 at risk now",
      );
      expect(output).toContain("JPY: ¥980 of ¥980 recovered, 100% of 1 case that ended");
      expect(output).toContain("No case has been recovered yet.");
      expect(output).toMatch(/notice +█+ 1\n/);
      expect(output).toMatch(/before any mail ░+ \$40\.00 in 1 case, 1 held/);
      expect(output).not.toContain("2020");
      for (const line of output.split("\n").filter((it) => /[█▓░]/.test(it))) {
        expect(line.length).toBeLessThanOrEqual(100);
      }
    });

    test("draws the same on a page that needs nothing but itself", async () => {
      await report();
      const html = await readFile(page(), "utf8");
      expect(html).toContain("$1,234.56");
      expect(html).toContain("¥980");
      expect(html.match(/<svg /g)?.length).toBeGreaterThanOrEqual(5);
      expect(html).toContain('<rect class="good"');
      expect(html).toContain("prefers-color-scheme: dark");
      expect(html).not.toMatch(/<script|https?:|@import|url\(|NaN|undefined|Infinity/);
    });

    test("goes back as far as it is asked to, with no month left out", async () => {
      const { output } = await report("--months", "120", "--json");
      const { currencies } = JSON.parse(output);
      const [usd] = currencies;
      expect(usd).toMatchObject({ currency: "usd", months: expect.any(Array) });
      expect(usd.months[0]).toMatchObject({ month: "2020-01-01", recovered: 1, amountRecovered: 999_999 });
      expect(usd.months.at(-1)).toMatchObject({ month: `${thisMonth}-01`, opened: 3, held: 1 });
      const [year, month] = thisMonth.split("-").map(Number);
      expect(usd.months).toHaveLength(((year ?? 0) - 2020) * 12 + (month ?? 0));
    });
  });
});

describe("status", () => {
  test("lists open cases, the longest overdue first, with what holds them, and the holds", async () => {
    const id = await book(database, {
      openedAt: "2021-01-01T00:00:00Z",
      amountDue: 1500,
      customer: "cus_longest",
      steps: [{ kind: "notice" }, { kind: "urgent_reminder" }],
    });
    await database.asService((sql) => sql`select billing.hold_dunning(${id}, ${"on the \u001b[2J\nphone"})`);
    const { output } = await here("status");
    const lines = output.split("\n");
    const first = lines.findIndex((it) => it.includes("cus_longest"));
    expect(lines[first]).toMatch(/\$15\.00 .*urgent reminder, sent .*manual/);
    expect(first).toBeLessThan(lines.findIndex((it) => it.includes("cus_held")));
    expect(output).toContain("on the  [2J phone");
    expect(output).toContain("There has been no run yet.");
    expect((await here("status", "--limit", "1")).output).toContain("and 2 more");
  });

  test("tells of the last run, and of what was wrong with it", async () => {
    await database.asService(async (sql) => {
      const [run] = await sql`select billing.begin_dunning_run('2026-06-01T09:00Z') as id`;
      await sql`select billing.finish_dunning_run(${run?.id}, '{"mails": 3, "held": 0}', 'Stripe is away', '2026-06-01T09:01Z')`;
    });
    const { output } = await here("status");
    expect(output).toContain("The last run, as of 2026-06-01 09:00 UTC: 3 mails.");
    expect(output).toContain("Stripe is away");
  });
});

describe("preview", () => {
  const at = (time: string, ...args: string[]) => here("preview", "--at", time, ...args);

  test("tells who would get what at that time, and who would have to wait", async () => {
    await database.sql`
      insert into billing.customers (id, email)
      values ('cus_preview', 'preview@example.com'), ('cus_waits', 'waits@example.com')`;
    for (const customer of ["cus_preview", "cus_waits"]) {
      const id = await book(database, { customer, openedAt: "2022-03-01T09:00:00Z", amountDue: 2900 });
      // What is overdue is the invoice, and not what the books say of the case.
      await database.sql`
        update billing.invoices
        set collection_method = 'charge_automatically', first_payment_failed_at = '2022-03-01T09:00:00Z'
        where id = ${`in_case_${id}`}`;
      await database.sql`
        insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
        values (${`sub_${id}`}, ${customer}, 'past_due', false) on conflict do nothing`;
    }
    await database.asService((sql) => sql`select billing.exclude_from_dunning('cus_waits', 'by contract')`);
    const { output } = await at("2022-03-01T10:00Z");
    const lines = output.split("\n");
    expect(lines.find((it) => it.includes("cus_preview"))).toMatch(
      /2022-03-01 09:00 .*preview@example\.com .*\$29\.00 .*send payment-failed-notice/,
    );
    expect(lines.find((it) => it.includes("cus_waits"))).toContain("wait: excluded_customer");
    expect(output).toContain("1 due, 1 held.");
    expect((await at("2022-03-01T08:59Z")).output).toContain("Nothing is due then.");
  });

  test("tells programs the same as JSON", async () => {
    const steps = JSON.parse((await at("2022-03-01T10:00+00:00", "--json")).output);
    expect(steps).toEqual([
      expect.objectContaining({ customer: "cus_preview", due_at: "2022-03-01T09:00:00.000Z", held_by: [] }),
      expect.objectContaining({ customer: "cus_waits", held_by: ["excluded_customer"] }),
    ]);
  });
});
