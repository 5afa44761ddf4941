import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { MONTH, START, Story, tell } from "./story.ts";

// What changes for many at once, and what time alone changes.

let database: TestDatabase;
let story: Story;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  story = new Story();
  await database.sql`truncate billing.outbox, billing_private.changed_features`;
});
afterAll(() => database.drop());

/** Users who pay for the product, written as projection would have. */
async function subscribers(count: number): Promise<void> {
  const { name } = story;
  await database.sql.unsafe(`
    insert into auth.users (id) select gen_random_uuid() from generate_series(1, ${count});
    insert into billing.customers (id, owner_id)
    select 'cus_' || row_number() over () || '${name}', u.id
    from (select id from auth.users as u where not exists (select from billing.customers as c where c.owner_id = u.id)) as u;
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
    select 'sub_' || n || '${name}', 'cus_' || n || '${name}', 'active', false from generate_series(1, ${count}) as n;
    insert into billing.subscription_items (id, subscription, product, price, current_period_end)
    select 'si_' || n || '${name}', 'sub_' || n || '${name}', 'prod_${name}', 'price_${name}', to_timestamp(${START + MONTH})
    from generate_series(1, ${count}) as n;
  `);
}

async function usersWith(feature: string): Promise<number> {
  const [row] = await database.sql<{ users: number }[]>`
    select count(*)::int as users from billing.entitlements where feature = ${feature} and sources[1] like ${`%${story.name}`}
  `;
  return row?.users ?? 0;
}

const recount = async (limit: number, now: Date | string = "2100-01-01") => {
  const [row] = await database.sql`select billing_private.recount_entitlements(${now}, ${limit}) as went_on`;
  return row?.went_on as boolean;
};

describe.each([
  ["product", (features: string | null) => story.product(features)],
  ["price", (features: string | null) => story.price(features)],
])("features that a %s gains or loses", (_kind, event) => {
  it("reach a few subscribers at once", async () => {
    await subscribers(3);
    await tell(database, event("export"));
    expect(await usersWith("export")).toBe(3);
    await tell(database, event(null));
    expect(await usersWith("export")).toBe(0);
  });

  it("reach many in batches: no transaction computes more than so many", async () => {
    await subscribers(90);
    await tell(database, event("export"));
    const inTheEvent = await usersWith("export");
    expect(inTheEvent).toBe(25);
    const steps: number[] = [];
    while (await recount(40)) steps.push(await usersWith("export"));
    expect(steps.at(-1)).toBe(90);
    expect(steps).toHaveLength(3);
    for (const [index, users] of steps.entries())
      expect(users - (steps[index - 1] ?? inTheEvent)).toBeLessThanOrEqual(40);
  });

  it("that change once more under way start over", async () => {
    await subscribers(90);
    await tell(database, event("export"));
    await recount(40);
    await tell(database, event("sso"));
    while (await recount(40));
    expect([await usersWith("export"), await usersWith("sso")]).toEqual([0, 90]);
  });
});

describe("the minute's job", () => {
  it("leaves a change alone until every projection that cannot see it has ended", async () => {
    const now = new Date("2026-11-01T12:00:00Z");
    await database.receive(story.product("export"), now);
    expect(await recount(10, new Date(now.getTime() + 9_000))).toBe(false);
    expect(await recount(10, new Date(now.getTime() + 10_000))).toBe(true);
    expect(await recount(10, new Date(now.getTime() + 10_000))).toBe(false);
  });

  it("takes another change when somebody works on one", async () => {
    await tell(database, story.product("export", "a"), story.product("export", "b"));
    const other = database.connect();
    await other.begin(async (sql) => {
      await sql`select billing_private.recount_entitlements('2100-01-01')`;
      expect(await recount(10)).toBe(true);
      expect(await recount(10)).toBe(false);
    });
  });

  it("is scheduled, and runs as it is written there", async () => {
    await tell(database, story.product("export"));
    await database.sql`update billing_private.changed_features set changed_at = now() - interval '1 hour' where true`;
    const [job] = await database.sql<{ command: string }[]>`
      select command from cron.job where jobname = 'duebase-tick'
    `;
    await database.sql.unsafe(job?.command ?? "");
    expect(await database.sql`select from billing_private.changed_features`).toEqual([]);
  });
});

describe("past what was paid for", () => {
  const end = START + MONTH;
  const recheck = async (secondsPast: number) => {
    await database.sql`select billing_private.recheck_entitlements(to_timestamp(${end + secondsPast}))`;
    const rows = await database.sql<{ key: string; payload: unknown }[]>`
      select dedupe_key as key, payload from billing.outbox where kind = 'refresh' order by id
    `;
    // Of what was never seen besides, something is read at once; that is another matter.
    return rows.filter(({ key }) => key.includes(story.name) && !key.startsWith("unseen:"));
  };

  it("access stays, and after an hour the subscription is read from Stripe, once a day for a week", async () => {
    const user = await database.signUp();
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    expect(await recheck(3599)).toEqual([]);
    const first = await recheck(3600);
    expect(first).toEqual([
      {
        key: `recheck:${story.id("sub")}:2026-10-21`,
        payload: { object: "subscription", id: story.id("sub") },
      },
    ]);
    expect(await recheck(3660)).toEqual(first);
    expect(await recheck(86_400)).toHaveLength(2);
    expect(await recheck(8 * 86_400)).toHaveLength(2);
    expect(await usersWith("export")).toBe(1);
  });

  it("a renewal that was only late ends the question; an end that was never told takes access", async () => {
    const user = await database.signUp();
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    const renewed = story.subscription();
    for (const item of (renewed.data.object.items as { data: { current_period_end: number }[] }).data)
      item.current_period_end += MONTH;
    await tell(database, renewed);
    expect(await recheck(3600)).toEqual([]);
    const answer = story.subscription({ status: "canceled", livemode: false }).data.object;
    await database.asService(
      (sql) => sql`select billing.apply_refresh(${sql.json(answer as never)}, to_timestamp(${end + 4000}))`,
    );
    expect(await usersWith("export")).toBe(0);
  });
});
