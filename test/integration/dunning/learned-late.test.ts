import { afterEach, beforeEach, expect, it } from "vitest";
import { DAY, DunningWorld, HOUR } from "../../support/dunning-world.ts";
import { asService, caseOf, days, mails, NOTICE, newSubscriber, stepsOf, URGENT } from "./overdue.ts";

// Whoever is learned of late has the whole ladder: days count from the later of the debt and the day it became known.

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

/** Somebody invoiced, with that many days to pay, whose events nobody receives for 25 days. */
async function strangerFor25Days(daysUntilDue: number) {
  world.arrives = () => false;
  const somebody = await world.subscribe({
    params: { collection_method: "send_invoice", days_until_due: daysUntilDue },
  });
  await world.passTime(new Date(world.now.getTime() + 2 * HOUR));
  await world.passTime(new Date(world.now.getTime() + 25 * DAY));
  const events = world.late.splice(0);
  world.arrives = () => true;
  return { somebody, events };
}

async function ladderFrom(subject: string): Promise<{ anchor_at: Date; ladder_from: Date } | undefined> {
  const [found] = await world.database.sql<{ anchor_at: Date; ladder_from: Date }[]>`
    select anchor_at, ladder_from from billing.dunning_cases where subject_id = ${subject} order by id desc limit 1`;
  return found;
}

it("read from Stripe when it was 11 days overdue, it is ended no sooner than ten days after its first mail", async () => {
  const { somebody } = await strangerFor25Days(14);
  const learned = world.now.getTime();
  const objects: object[] = [
    await world.stripe.customers.retrieve(somebody.customer),
    await world.stripe.subscriptions.retrieve(somebody.subscription),
    ...(await world.stripe.invoices.list({ customer: somebody.customer })).data,
  ];
  for (const object of objects)
    await asService(world, "billing.apply_refresh($1::jsonb, $2, $2)", object, world.now);
  await world.deliver();
  expect(mails(world, somebody)).toEqual([NOTICE]);
  expect((await ladderFrom(somebody.subscription))?.ladder_from.getTime()).toBe(learned);
  await days(world, 9);
  expect((await world.stripe.subscriptions.retrieve(somebody.subscription)).status).not.toBe("canceled");
  await days(world, 2);
  expect(await stepsOf(world, somebody.subscription)).toEqual([
    "notice sent",
    "urgent_reminder sent",
    "final_warning sent",
    "end done",
  ]);
});

it("received but projected only weeks later, by a replay, it is counted from the replay", async () => {
  const somebody = await newSubscriber(world);
  // Whatever comes now is kept out, as in a project whose settings name the other mode.
  await world.database.sql`update billing.settings set livemode = true`;
  await world.breakCard(somebody);
  await world.renew(somebody);
  await world.passTime(new Date(world.now.getTime() + 11 * DAY));
  await world.database.sql`update billing.settings set livemode = false`;
  const replayed = world.now.getTime();
  await world.database.sql`
    select billing.replay_failed_webhook(f.event_id, ${world.now})
    from billing.failed_webhooks as f join billing.webhook_events as e on e.id = f.event_id
    where f.status = 'quarantined' order by e.created, e.id`;
  await world.deliver();
  expect((await ladderFrom(somebody.subscription))?.ladder_from.getTime()).toBe(replayed);
  expect(mails(world, somebody)).toEqual([NOTICE]);
  await days(world, 9);
  expect((await world.stripe.subscriptions.retrieve(somebody.subscription)).status).not.toBe("canceled");
});

it("known before it was due, it is counted from its due date, however late the first run is", async () => {
  const somebody = await newSubscriber(world, {
    params: { collection_method: "send_invoice", days_until_due: 2 },
  });
  await world.passTime(new Date(world.now.getTime() + 2 * HOUR));
  world.arrives = () => false;
  await world.passTime(new Date(world.now.getTime() + 5 * DAY));
  world.arrives = () => true;
  await world.run();
  const counted = await ladderFrom(somebody.subscription);
  expect(counted?.ladder_from).toEqual(counted?.anchor_at);
  await days(world, 1);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
});

it("what is paid before it is overdue leaves nothing behind", async () => {
  const somebody = await newSubscriber(world, {
    params: { collection_method: "send_invoice", days_until_due: 5 },
  });
  await world.passTime(new Date(world.now.getTime() + 2 * HOUR));
  const kept = () => world.database.sql`select from billing_private.known_debts`;
  expect(await kept()).toHaveLength(1);
  const { data } = await world.stripe.invoices.list({ customer: somebody.customer, status: "open" });
  await world.stripe.invoices.pay(String(data[0]?.id), { paid_out_of_band: true });
  await world.arrive();
  expect(await kept()).toHaveLength(0);
});

it("what was overdue before the project was adopted is dunned when a person says so, from that day on", async () => {
  const { somebody, events } = await strangerFor25Days(14);
  await world.database.sql`update billing.settings set adopted_at = ${world.now}`;
  await world.arriveLate(events);
  await days(world, 2);
  expect(await caseOf(world, somebody.subscription)).toBeUndefined();
  expect(await world.database.sql`select from billing.dunning_preview(${world.now})`).toHaveLength(0);

  await asService(world, "billing.open_dunning($1, $2)", somebody.subscription, world.now);
  const released = world.now.getTime();
  await world.deliver();
  expect(mails(world, somebody)).toEqual([NOTICE]);
  expect((await ladderFrom(somebody.subscription))?.ladder_from.getTime()).toBe(released);
  await days(world, 2);
  expect(mails(world, somebody)).toEqual([NOTICE]);
  await days(world, 1);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
});
