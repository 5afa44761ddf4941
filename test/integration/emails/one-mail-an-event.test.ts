import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { DunningWorld, HOUR } from "../../support/dunning-world.ts";
import { loadFixtures } from "../../support/fixtures.ts";
import { newSubscriber } from "../dunning/overdue.ts";

/** The newest row of the outbox. */
async function last(database: TestDatabase): Promise<number> {
  const [row] = await database.sql<
    { id: number }[]
  >`select coalesce(max(id), 0)::int as id from billing.outbox`;
  return row?.id ?? 0;
}

/** The emails enqueued since a row, by whom they go to and in which currency, where there are several. */
async function pairsSince(database: TestDatabase, row: number): Promise<string[][]> {
  const rows = await database.sql<{ templates: string[] }[]>`
    select array_agg(payload ->> 'template' order by payload ->> 'template') as templates
    from billing.outbox
    where id > ${row} and kind = 'email' and status <> 'canceled'
    group by payload ->> 'customer', coalesce(payload #>> '{props,currency}', '')
    having count(*) > 1`;
  return rows.map(({ templates }) => templates);
}

describe("no event makes two mails to one person", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it.each([
    { order: "in their order", events: loadFixtures() },
    { order: "in reverse", events: loadFixtures().reverse() },
  ])("of all that are handled, $order", async ({ events }) => {
    await database.drop();
    database = await createTestDatabase();
    for (const event of events) {
      const row = await last(database);
      await database.receive(event, new Date((event.created + 2) * 1000));
      expect(await pairsSince(database, row), event.type).toEqual([]);
    }
  });
});

describe("no run makes two mails to one person about debts of one currency", () => {
  let world: DunningWorld;
  beforeAll(async () => {
    world = await DunningWorld.open();
  });
  afterAll(() => world.close());

  it("except a notice of another debt beside a reminder: two months of three subscriptions that fail and end", async () => {
    const somebody = await newSubscriber(world);
    const amounts = [700, 900];
    for (const amount of amounts) {
      await world.addSubscription(somebody.customer, amount, "usd", {
        trial_end: Math.round(world.now.getTime() / 1000) + (28 + amount / 100) * 86_400,
      });
    }
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    const seen = new Set<string>();
    const note = async (row: number) => {
      for (const pair of await pairsSince(world.database, row)) {
        const failures = pair.filter((template) => template.startsWith("payment-failed"));
        if (failures.length > 1) seen.add(failures.join(" + "));
      }
    };
    for (let day = 0; day < 50; day++) {
      for (const hours of [8, 16]) {
        const row = await last(world.database);
        await world.passTime(new Date(world.now.getTime() + hours * HOUR));
        // Now and then nothing of ours runs until the day's end.
        if (hours === 8 || day % 2 === 0) await world.deliver();
        await note(row);
      }
      const row = await last(world.database);
      await world.run();
      await note(row);
    }
    for (const pair of seen)
      expect([
        "payment-failed-final + payment-failed-notice",
        "payment-failed-notice + payment-failed-urgent",
      ]).toContain(pair);
  }, 120_000);
});
