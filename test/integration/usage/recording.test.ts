import { randomUUID } from "node:crypto";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { renamedFixture } from "../../support/fixtures.ts";
import { deliver } from "../../support/orders.ts";
import {
  at,
  MONTH,
  NOW,
  ownedBy,
  plan,
  priced,
  readUsage,
  recordUsage,
  rowsOf,
  subscribed,
} from "./metered.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

interface Refusal {
  code?: string;
  message?: string;
  detail?: string;
  hint?: string;
}

const refusalOf = (work: Promise<unknown>): Promise<Refusal> =>
  work.then(
    () => ({}),
    (error: Refusal) => error,
  );

/** A user with a month of `limit` API calls. */
async function subscriber(limit: string): Promise<{ user: string; name: string }> {
  const user = await database.signUp();
  const name = await deliver(database, [
    plan("Pro", { limit_api_calls: limit }),
    ownedBy(user),
    subscribed(),
  ]);
  return { user, name };
}

describe("recording usage", () => {
  it("counts, and answers what is used and left", async () => {
    const { user } = await subscriber("100");
    const whole = {
      metric: "api_calls",
      usage_limit: 100,
      period_start: at(NOW),
      period_end: at(NOW + MONTH),
    };
    expect(await readUsage(database, user, "api_calls")).toEqual({ ...whole, used: 0, remaining: 100 });
    expect(await recordUsage(database, user, "api_calls", 30, "a")).toEqual({
      ...whole,
      used: 30,
      remaining: 70,
    });
    expect(await readUsage(database, user, "api_calls")).toEqual({ ...whole, used: 30, remaining: 70 });
  });

  it("counts a key once, and refuses it for anything else", async () => {
    const { user } = await subscriber("100");
    for (let time = 0; time < 3; time++)
      expect(await recordUsage(database, user, "api_calls", 30, "same")).toMatchObject({ used: 30 });
    expect(await refusalOf(recordUsage(database, user, "api_calls", 31, "same"))).toMatchObject({
      code: "DU013",
      message: "key 'same' recorded 30 of api_calls, not 31 of api_calls",
    });
    const { user: other } = await subscriber("100");
    expect(await recordUsage(database, other, "api_calls", 5, "same")).toMatchObject({ used: 5 });
  });

  it("counts nothing over the limit and says what is left", async () => {
    const { user, name } = await subscriber("100");
    await recordUsage(database, user, "api_calls", 98, "a");
    const refused = await refusalOf(recordUsage(database, user, "api_calls", 3, "b"));
    expect(refused).toMatchObject({
      code: "DU010",
      message: "over the limit of 100 api_calls: 98 used, 3 more asked for",
    });
    expect(refused.hint).toContain("upgrade");
    expect(JSON.parse(refused.detail ?? "")).toMatchObject({
      metric: "api_calls",
      usage_limit: 100,
      used: 98,
      asked: 3,
      remaining: 2,
    });
    expect(await rowsOf(database, name)).toMatchObject([{ used: 98 }]);
    // The refused key is free.
    expect(await recordUsage(database, user, "api_calls", 2, "b")).toMatchObject({ used: 100, remaining: 0 });
  });

  it("counts without end where the limit is unlimited", async () => {
    const { user } = await subscriber("unlimited");
    await recordUsage(database, user, "api_calls", 1_000_000_000_000, "a");
    expect(await recordUsage(database, user, "api_calls", 1, "b")).toMatchObject({
      used: 1_000_000_000_001,
      usage_limit: null,
      remaining: null,
    });
  });

  it.each([
    ["a negative quantity", "api_calls", -1, "a", "cannot record -1 of api_calls"],
    ["nothing", "api_calls", 0, "a", "cannot record 0 of api_calls"],
    ["null", "api_calls", null, "a", "cannot record null of api_calls"],
    ["too much", "api_calls", 1_000_000_000_001, "a", "cannot record 1000000000001 of api_calls"],
    ["no key", "api_calls", 1, null, "usage of api_calls has no usable idempotency key: NULL"],
    ["a blank key", "api_calls", 1, " ", "usage of api_calls has no usable idempotency key: ' '"],
    ["no metric that can be", "API calls", 1, "a", "no metric can be called 'API calls'"],
  ])("refuses %s", async (_what, metric, quantity, key, message) => {
    const { user } = await subscriber("100");
    expect(await refusalOf(recordUsage(database, user, metric, quantity, key))).toMatchObject({
      code: "DU012",
      message,
    });
  });

  it.each([
    ["somebody without a subscription", () => database.signUp()],
    ["nobody", async () => randomUUID()],
  ])("refuses usage of %s", async (_who, who) => {
    const user = await who();
    expect(await refusalOf(recordUsage(database, user, "api_calls", 1, "a"))).toMatchObject({
      code: "DU011",
      message: `owner ${user} has no billing period for api_calls`,
    });
    expect(await readUsage(database, user, "api_calls")).toMatchObject({
      used: 0,
      usage_limit: 0,
      remaining: 0,
      period_end: null,
    });
  });

  it.each(["unpaid", "paused", "canceled"])(
    "refuses a subscription that is %s, and not once it is back",
    async (status) => {
      const { user, name } = await subscriber("100");
      await recordUsage(database, user, "api_calls", 10, "a");
      await deliver(database, [subscribed({ at: NOW + 10, status })], name);
      expect(await refusalOf(recordUsage(database, user, "api_calls", 1, "b"))).toMatchObject({
        code: "DU011",
      });
      await deliver(database, [subscribed({ at: NOW + 20, status: "past_due" })], name);
      expect(await recordUsage(database, user, "api_calls", 1, "b")).toMatchObject({ used: 11 });
    },
  );
});

describe("a user with several subscriptions", () => {
  it("has the sum of what they allow, and uses up first what ends first", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [
      plan("Pro", { limit_api_calls: "100" }),
      ownedBy(user),
      ownedBy(user, NOW, "Team"),
      subscribed({ id: "One", items: [{ plan: "Pro", end: NOW + 2 * MONTH }] }),
      subscribed({ id: "Two", customer: "Team", items: [{ plan: "Pro" }] }),
    ]);
    expect(await readUsage(database, user, "api_calls")).toMatchObject({ usage_limit: 200, remaining: 200 });
    expect(await recordUsage(database, user, "api_calls", 130, "a")).toMatchObject({
      used: 130,
      remaining: 70,
    });
    expect(await rowsOf(database, name)).toMatchObject([
      { used: 30, ends: 2 * MONTH },
      { used: 100, ends: MONTH },
    ]);
    expect(await refusalOf(recordUsage(database, user, "api_calls", 71, "b"))).toMatchObject({
      code: "DU010",
    });
  });
});

describe("a period that is over before its renewal is told", () => {
  const late = at(NOW + MONTH + 3600);

  it("is followed by the next: usage is counted there and kept when Stripe tells of it", async () => {
    const { user, name } = await subscriber("100");
    await recordUsage(database, user, "api_calls", 100, "a");
    expect(await readUsage(database, user, "api_calls", late)).toMatchObject({
      used: 0,
      remaining: 100,
      period_start: at(NOW + MONTH),
      period_end: null,
    });
    await recordUsage(database, user, "api_calls", 60, "b", late);
    expect(await recordUsage(database, user, "api_calls", 10, "c", late)).toMatchObject({ used: 70 });
    expect(await refusalOf(recordUsage(database, user, "api_calls", 31, "d", late))).toMatchObject({
      code: "DU010",
    });
    const renewed = { plan: "Pro", start: NOW + MONTH, end: NOW + 2 * MONTH };
    await deliver(database, [subscribed({ at: NOW + MONTH, items: [renewed] })], name);
    expect(await rowsOf(database, name)).toMatchObject([
      { used: 100, starts: 0, ends: MONTH, is_open: false },
      { used: 70, starts: MONTH, ends: 2 * MONTH, is_open: true },
    ]);
    expect(await recordUsage(database, user, "api_calls", 30, "e", late)).toMatchObject({
      used: 100,
      period_end: at(NOW + 2 * MONTH),
    });
  });

  it("is the last one of a subscription that was to end with it", async () => {
    const { user, name } = await subscriber("100");
    await deliver(database, [subscribed({ at: NOW + 10, leaves: true })], name);
    expect(await recordUsage(database, user, "api_calls", 1, "a")).toMatchObject({ used: 1 });
    expect(await refusalOf(recordUsage(database, user, "api_calls", 1, "b", late))).toMatchObject({
      code: "DU011",
    });
  });
});

describe("many at once", () => {
  it("1,000 recordings against a limit of 600: exactly 600 are counted, the rest are told why not", async () => {
    const { user, name } = await subscriber("600");
    const connections = Array.from({ length: 8 }, () => database.connect());
    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const sql = connections[index % connections.length];
        if (!sql) throw new Error("no connection");
        return await refusalOf(
          sql`select billing.record_usage(${user}, 'api_calls', 1, ${`key ${index}`}, ${at(NOW + 60)})`,
        );
      }),
    );
    expect(outcomes.filter(({ code }) => code === undefined)).toHaveLength(600);
    expect(outcomes.filter(({ code }) => code === "DU010")).toHaveLength(400);
    expect(await rowsOf(database, name)).toMatchObject([{ used: 600 }]);
    await Promise.all(connections.map((sql) => sql.end()));
  }, 60_000);

  it("the same key eight times at once is counted once", async () => {
    const { user, name } = await subscriber("600");
    const connections = Array.from({ length: 8 }, () => database.connect());
    await Promise.all(
      connections.map(
        (sql) => sql`select billing.record_usage(${user}, 'api_calls', 7, 'one', ${at(NOW + 60)})`,
      ),
    );
    expect(await rowsOf(database, name)).toMatchObject([{ used: 7 }]);
    await Promise.all(connections.map((sql) => sql.end()));
  });

  it("whoever waited for a renewal takes turns in the new period", async () => {
    const { user, name } = await subscriber("1");
    const [renewal, ...recorders] = Array.from({ length: 3 }, () => database.connect()) as [Sql, ...Sql[]];
    const event = renamedFixture(
      subscribed({ at: NOW + MONTH, items: [{ plan: "Pro", start: NOW + MONTH, end: NOW + 2 * MONTH }] }),
      name,
    );
    await renewal`begin`;
    await renewal`select billing.receive_event(${renewal.json(event as never)}, ${at(NOW + MONTH)})`;
    const recordings = recorders.map(async (sql, index) => {
      await sql`begin`;
      const outcome = await refusalOf(
        sql`select billing.record_usage(${user}, 'api_calls', 1, ${`k${index}`}, ${at(NOW + MONTH + 60)})`,
      );
      if (outcome.code === undefined) await sql`select pg_sleep(0.2)`;
      await sql`commit`;
      return outcome.code;
    });
    const areWaiting = async () => {
      const waiting = await database.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%record_usage%'
      `;
      return waiting.length === recorders.length;
    };
    await vi.waitUntil(areWaiting, { timeout: 10_000, interval: 20 });
    await renewal`commit`;
    expect((await Promise.all(recordings)).toSorted()).toEqual(["DU010", undefined]);
    expect(await rowsOf(database, name)).toMatchObject([{ used: 1 }]);
    await Promise.all([renewal, ...recorders].map((sql) => sql.end()));
  });

  it("two products told in the same moment both count, where neither was known before", async () => {
    const name = await deliver(database, [
      subscribed({ items: [{ plan: "Pro" }, { plan: "More", quantity: 4 }] }),
      priced("Pro"),
      priced("More"),
    ]);
    const told = [plan("Pro", { limit_api_calls: "100" }), plan("More", { limit_api_calls: "2 per unit" })];
    const [first, second] = [database.connect(), database.connect()];
    const receive = (sql: Sql, event: (typeof told)[number] | undefined) => {
      const fixture = renamedFixture(event as never, name);
      return sql`select billing.receive_event(${sql.json(fixture as never)}, ${at(NOW)})`;
    };
    await first`begin`;
    await receive(first, told[0]);
    const later = receive(second, told[1]).then(() => undefined);
    const isWaiting = async () => {
      const waiting = await database.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%receive_event%'
      `;
      return waiting.length === 1;
    };
    await vi.waitUntil(isWaiting, { timeout: 10_000, interval: 20 });
    await first`commit`;
    await later;
    expect(await rowsOf(database, name)).toMatchObject([{ usage_limit: 108 }]);
    await Promise.all([first, second].map((sql) => sql.end()));
  });

  it("no recording is lost while renewals and new plans arrive", async () => {
    const { user, name } = await subscriber("100000");
    await deliver(database, [plan("Max", { limit_api_calls: "200000" })], name);
    const recorder = database.connect({ connections: 4 });
    let period = 0;
    const arrivals = async () => {
      for (; period < 12; period++) {
        const start = NOW + period * MONTH;
        await deliver(
          database,
          [
            subscribed({
              at: start + 1,
              items: [{ plan: period % 2 ? "Pro" : "Max", start, end: start + MONTH }],
            }),
          ],
          name,
        );
      }
    };
    const recordings = Array.from({ length: 200 }, async (_, index) => {
      await recorder`select billing.record_usage(${user}, 'api_calls', 1, ${`k${index}`}, ${at(NOW + period * MONTH + 60)})`;
    });
    await Promise.all([arrivals(), ...recordings]);
    const rows = await rowsOf(database, name);
    expect(rows.reduce((sum, { used }) => sum + used, 0)).toBe(200);
    await recorder.end();
  }, 60_000);
});

describe("the keys", () => {
  it("are forgotten after 90 days, and what they counted is not", async () => {
    const { user, name } = await subscriber("100");
    await recordUsage(database, user, "api_calls", 30, "old");
    const purge = async (days: number) =>
      (
        await database.sql`select billing_private.purge_usage_records(${at(NOW + 60 + days * 86_400)}) as purged`
      )[0]?.purged;
    expect(await purge(89)).toBe(0);
    expect(await purge(91)).toBeGreaterThan(0);
    expect(await rowsOf(database, name)).toMatchObject([{ used: 30 }]);
  });
});
