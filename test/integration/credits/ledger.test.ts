import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { balanceOf, deduct, grant, refusalOf } from "./bought.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

describe("a balance", () => {
  it("is what was granted less what was deducted, by kind", async () => {
    const user = await database.signUp();
    expect(await grant(database, user, 100, "a")).toBe(100);
    expect(await grant(database, user, 7, "b", "exports")).toBe(7);
    expect(await deduct(database, user, 30, "c")).toBe(70);
    expect(await balanceOf(database, user)).toBe(70);
    expect(await balanceOf(database, user, "exports")).toBe(7);
    expect(await balanceOf(database, user, "anything else")).toBe(0);
    const [own] = await database.asUser(
      user,
      (sql) => sql`select billing.credit_balance('images') as balance`,
    );
    expect(own).toEqual({ balance: "70" });
  });

  it("is never overdrawn: all is deducted or nothing, and DETAIL says how many there are", async () => {
    const user = await database.signUp();
    await grant(database, user, 10, "a");
    const refused = await refusalOf(deduct(database, user, 11, "b"));
    expect(refused).toMatchObject({ code: "DU015", message: "11 images credits asked for, 10 there" });
    expect(JSON.parse(refused.detail ?? "")).toEqual({ kind: "images", balance: 10, asked: 11, missing: 1 });
    expect(await balanceOf(database, user)).toBe(10);
    expect(await deduct(database, user, 10, "b")).toBe(0);
    expect(await refusalOf(deduct(database, randomUUID(), 1, "a"))).toMatchObject({ code: "DU015" });
  });

  it("changes once by one key, which is refused for any other change", async () => {
    const user = await database.signUp();
    for (let time = 0; time < 3; time++) expect(await grant(database, user, 100, "a")).toBe(100);
    await deduct(database, user, 40, "b");
    for (let time = 0; time < 3; time++) expect(await deduct(database, user, 10, "c")).toBe(50);
    expect(await balanceOf(database, user)).toBe(50);
    expect(await refusalOf(deduct(database, user, 11, "c"))).toMatchObject({
      code: "DU016",
      message: "key 'c' changed images by -10, not images by -11",
    });
    for (const other of [
      () => deduct(database, user, 10, "c", "exports"),
      () => grant(database, user, 10, "c"),
      () => grant(database, user, 101, "a"),
    ])
      expect(await refusalOf(other())).toMatchObject({ code: "DU016" });
    expect(await deduct(database, user, 10, "d")).toBe(40);
  });

  it.each([
    ["a negative amount", -1, "a", "images"],
    ["nothing", 0, "a", "images"],
    ["null", null, "a", "images"],
    ["too much", 1_000_000_000_001, "a", "images"],
    ["no key", 1, null, "images"],
    ["a blank key", 1, "  ", "images"],
    ["no kind", 1, "a", null],
  ])("refuses %s", async (_what, amount, key, kind) => {
    const user = await database.signUp();
    expect(await refusalOf(grant(database, user, amount, key, kind))).toMatchObject({ code: "DU017" });
    expect(await refusalOf(deduct(database, user, amount, key, kind))).toMatchObject({ code: "DU017" });
  });

  it("is refused without an owner", async () => {
    const nobody = randomUUID();
    expect(await refusalOf(grant(database, nobody, 1, "a"))).toMatchObject({
      code: "DU018",
      message: `no owner ${nobody}`,
    });
  });

  it("is the sum of its entries, each of which says what it came to", async () => {
    const user = await database.signUp();
    await grant(database, user, 100, "a");
    await deduct(database, user, 30, "b");
    const entries = await database.asUser(
      user,
      (sql) => sql`
        select kind, credits::int, balance_after::int, reason, idempotency_key, note from billing.credit_entries order by id
      `,
    );
    expect(entries).toEqual([
      {
        kind: "images",
        credits: 100,
        balance_after: 100,
        reason: "grant",
        idempotency_key: "a",
        note: "welcome",
      },
      {
        kind: "images",
        credits: -30,
        balance_after: 70,
        reason: "deduction",
        idempotency_key: "b",
        note: null,
      },
    ]);
  });
});

describe("the ledger", () => {
  it.each([
    "update billing.credit_entries set credits = 1000 where true",
    "update billing.credit_entries set note = 'something else' where true",
    "update billing.credit_entries set note = null, idempotency_key = 'another' where true",
    "update billing.credit_entries set credits = credits where true",
    "delete from billing.credit_entries where true",
    "truncate billing.credit_entries",
  ])("refuses: %s", async (statement) => {
    await grant(database, await database.signUp(), 1, "a");
    expect(await refusalOf(database.sql.unsafe(statement))).toMatchObject({ code: "DU004" });
  });

  it("shows a user the own entries and nobody else's, and outlives the user", async () => {
    const [ada, bob] = [await database.signUp(), await database.signUp()];
    await grant(database, ada, 100, "a");
    const seenBy = (user: string) =>
      database.asUser(user, (sql) => sql`select id, owner_id from billing.credit_entries`);
    const [entry] = await seenBy(ada);
    expect(await seenBy(ada)).toEqual([{ id: entry?.id, owner_id: ada }]);
    expect(await seenBy(bob)).toEqual([]);
    await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${ada}`;
    expect(await seenBy(ada)).toEqual([]);
    expect(
      await database.sql`
        select owner_id, credits::int, note, idempotency_key from billing.credit_entries where id = ${entry?.id}
      `,
    ).toEqual([{ owner_id: null, credits: 100, note: null, idempotency_key: `forgotten:${entry?.id}` }]);
  });

  it("loses its notes when its user is forgotten, and its balance stays", async () => {
    const user = await database.signUp();
    await grant(database, user, 100, "a");
    for (let time = 0; time < 2; time++)
      await database.asService((sql) => sql`select billing.forget_user(${user})`);
    const [entry] = await database.sql`
      select credits::int, note from billing.credit_entries where owner_id = ${user}
    `;
    expect(entry).toEqual({ credits: 100, note: null });
    expect(await balanceOf(database, user)).toBe(100);
  });
});

describe("many at once", () => {
  async function atOnce(
    times: number,
    statement: (index: number) => [user: string, amount: number, key: string],
  ) {
    const connections = Array.from({ length: 8 }, () => database.connect());
    const outcomes = await Promise.all(
      Array.from({ length: times }, (_, index) => {
        const sql = connections[index % connections.length];
        if (!sql) throw new Error("no connection");
        const [user, amount, key] = statement(index);
        return refusalOf(sql`select billing.deduct_credits(${user}, 'images', ${amount}, ${key})`.execute());
      }),
    );
    await Promise.all(connections.map((sql) => sql.end()));
    return outcomes.map(({ code }) => code);
  }

  it("1,000 deductions from a balance of 600: exactly 600 succeed, the rest are told why not", async () => {
    const user = await database.signUp();
    await grant(database, user, 600, "grant");
    const codes = await atOnce(1000, (index) => [user, 1, `key ${index}`]);
    expect(codes.filter((code) => code === undefined)).toHaveLength(600);
    expect(codes.filter((code) => code === "DU015")).toHaveLength(400);
    const [ledger] = await database.sql`
      select sum(credits)::int as sum, min(balance_after)::int as lowest, count(*)::int as entries
      from billing.credit_entries where owner_id = ${user}
    `;
    expect(ledger).toEqual({ sum: 0, lowest: 0, entries: 601 });
    expect(await balanceOf(database, user)).toBe(0);
  }, 60_000);

  it("the same key sixteen times at once deducts once", async () => {
    const user = await database.signUp();
    await grant(database, user, 100, "grant");
    expect(new Set(await atOnce(16, () => [user, 7, "one"]))).toEqual(new Set([undefined]));
    expect(await balanceOf(database, user)).toBe(93);
  });
});
