import { afterAll, beforeAll, expect, it } from "vitest";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";
import { asService, days, FINAL, newSubscriber, stepsOf } from "./overdue.ts";

let world: DunningWorld;
beforeAll(async () => {
  world = await DunningWorld.open();
});
afterAll(() => world.close());

it("two subscriptions of one customer, in two currencies and under two policies: for each a mail names its own day, and it ends on it", async () => {
  await asService(
    world,
    `billing.define_dunning_policy(
      'short', '[{"day": 0, "kind": "notice"}, {"day": 2, "kind": "final_warning"}, {"day": 6, "kind": "end"}]', 'pause'
    )`,
  );
  const somebody = await newSubscriber(world);
  const other = await world.addSubscription(somebody.customer, 1500, "eur");
  await world.arrive();
  const price = other.items.data[0]?.price.id;
  await asService(world, "billing.assign_dunning_policy('price', $1, 'short')", price);
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 12);

  const steps = ["notice sent", "urgent_reminder sent", "final_warning sent", "end done"];
  expect(await stepsOf(world, somebody.subscription)).toEqual(steps);
  expect(await stepsOf(world, other.id)).toEqual(steps.filter((step) => step !== "urgent_reminder sent"));
  const mails = await world.database.sql<{ subject: string; text: string; at: Date }[]>`
    select subject, text, created_at as at from billing.emails where template = ${FINAL} order by id`;
  expect(mails).toHaveLength(2);
  const named = mails.map(({ subject }) => / on (\w+ \d+, \d+)$/.exec(subject)?.[1] ?? "");
  expect(mails.map(({ subject }) => subject.includes("paused"))).toEqual([true, false]);
  expect(mails[0]?.text).toContain("€15.00");
  expect(mails[1]?.text).toContain("$20.00");

  const ends = await world.database.sql<{ subject_id: string; finished_at: Date }[]>`
    select c.subject_id, d.finished_at
    from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id
    where d.kind = 'end' order by d.id`;
  expect(ends.map(({ subject_id }) => subject_id)).toEqual([other.id, somebody.subscription]);
  for (const [index, { finished_at }] of ends.entries()) {
    const noon = Date.parse(`${named[index]} 12:00 UTC`);
    expect(finished_at.getTime()).toBeGreaterThanOrEqual(noon);
    expect(finished_at.getTime()).toBeLessThan(noon + DAY / 2);
  }
});
