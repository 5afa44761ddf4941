import { describe, expect, it, onTestFinished } from "vitest";
import { DunningWorld, HOUR } from "../../support/dunning-world.ts";
import { CANCELED, caseOf, days, FINAL, mails, NOTICE, newSubscriber } from "./overdue.ts";
import * as calendar from "./told.ts";
import { paidInvoice, ToldDatabase, unpaid } from "./told.ts";

// What a customer has read is what happens: no first mail that is a warning, and no end before the day a
// mail named.

async function open(): Promise<DunningWorld> {
  const world = await DunningWorld.open();
  onTestFinished(() => world.close());
  return world;
}

describe("the first mail is the notice, and never a warning", () => {
  it("where Resend was away for three weeks from the first day, and the daily run with it", async () => {
    const world = await open();
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    const away = { resend: { url: "http://127.0.0.1:9" } };
    const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
    await world.passTime(new Date(Number(items.data[0]?.current_period_end) * 1000));
    await world.passTime(new Date(world.now.getTime() + HOUR + 60_000));
    await world.deliver(away);
    for (let halfDay = 0; halfDay < 42; halfDay++) {
      await world.passTime(new Date(world.now.getTime() + 12 * HOUR));
      await world.deliver(away);
    }
    await world.run(away);
    expect(mails(world, somebody)).toEqual([]);
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE]);
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL]);
    await days(world, 5);
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL, CANCELED]);
  });

  it("where Resend refused the address of the notice, until there was another", async () => {
    const world = await open();
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    await world.stripe.customers.update(somebody.customer, { email: "nobody at all" });
    await world.renew(somebody);
    await days(world, 5);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ holds: ["undeliverable_address"] });
    const shown = await world.database.sql`select step, would from billing.dunning_preview(${world.now})`;
    expect(shown).toEqual([{ step: "notice", would: "wait: undeliverable_address" }]);
    await world.stripe.customers.update(somebody.customer, { email: somebody.email });
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE]);
  });
});

it("no end comes before the day that a later mail named, though an earlier warning is valid again", async () => {
  const told = await ToldDatabase.open();
  onTestFinished(() => told.close());
  const { DAY, HOUR, START } = calendar;
  const next = async (day: number) => {
    const at = START + day * DAY + 2 * HOUR;
    const counts = await told.evaluate(at);
    await told.sendMails(at + 60);
    return counts;
  };
  await told.fail(unpaid(), START + HOUR + 5 * DAY);
  for (const day of [5, 8, 12]) expect(await next(day)).toMatchObject({ mails: 1 });
  // Its ladder is a later one, and its notice tells of both: 2026-10-22 is when it would end at the earliest.
  const older = unpaid({ id: "in_Older", number: "EX-0006", created: START });
  await told.tell("invoice.payment_failed", START + 4 * DAY, older);
  expect(await next(13)).toMatchObject({ mails: 1 });
  const [named] = await told.database
    .sql`select max(ends_at) as at from billing.dunning_actions where status = 'sent' and kind = 'notice'`;
  await told.tell("invoice.paid", START + 14 * DAY, paidInvoice(older, START + 14 * DAY));
  const [fact] = await told.database.sql`
    select f.warned_end, f.ends_at from billing_private.dunning_facts(array[${calendar.CUSTOMER}], ${new Date((START + 15 * DAY) * 1000)}) as f`;
  expect(fact?.warned_end.getTime()).toBeLessThan(named?.at.getTime());
  expect(fact?.ends_at).toEqual(named?.at);
  // At noon of the day that the first warning named.
  expect(await next(15 + 3 / 24)).toMatchObject({ ends: 0 });
  expect(await next(16)).toMatchObject({ ends: 0 });
});
