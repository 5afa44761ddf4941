import { afterEach, beforeEach, expect, it } from "vitest";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const later = (days: number) => {
  world.now = new Date(world.now.getTime() + days * DAY);
};
const mails = () =>
  world.database.sql`
    select payload ->> 'template' as template, status, withheld_reason as reason
    from billing.outbox where kind = 'email' order by id`;

it("what is older than the settings say when it could first leave is withheld, and a person may release it", async () => {
  const who = await world.subscribe();
  await world.arrive();
  later(2.9);
  const punctual = await world.subscribe();
  await world.arrive();
  // Nobody set a sender until now.
  await world.deliver({ sender: null });
  later(0.2);
  await world.deliver();
  expect(world.mailsTo(who.email)).toEqual([]);
  expect(world.mailsTo(punctual.email)).toEqual(["payment-receipt"]);
  expect(await mails()).toEqual([
    { template: "payment-receipt", status: "withheld", reason: "stale" },
    { template: "payment-receipt", status: "delivered", reason: null },
  ]);

  const { sql } = world.database;
  const [{ id } = { id: null }] = await sql`select id::int from billing.outbox where status = 'withheld'`;
  later(10);
  expect(
    await sql`select id::int, outcome from billing.release_withheld(${[id, 999999]}::bigint[], ${world.now})`,
  ).toEqual([
    { id, outcome: "released" },
    { id: 999999, outcome: "unknown" },
  ]);
  await world.deliver();
  expect(world.mailsTo(who.email)).toEqual(["payment-receipt"]);
  expect(
    await sql`select id::int, outcome from billing.release_withheld(${[id]}::bigint[], ${world.now})`,
  ).toEqual([{ id, outcome: "delivered" }]);
});

it("settings.stale_mail_days says how old; what was attempted before is not stale", async () => {
  await world.database.sql`update billing.settings set stale_mail_days = 10 where id`;
  const who = await world.subscribe();
  await world.arrive();
  later(9);
  await world.deliver({ resend: { url: "http://127.0.0.1:9" } });
  later(5);
  await world.deliver();
  // Its outcome was unknown for longer than Resend keeps keys: that is a case of its own, and no stale mail.
  expect(await mails()).toEqual([{ template: "payment-receipt", status: "dead", reason: null }]);
  expect(world.mailsTo(who.email)).toEqual([]);
});

it("a dunning mail that is stale was not told: its step is due again at once, and no reminder goes before the notice", async () => {
  const who = await overdueWithoutMail();
  for (let day = 0; day < 8; day++) {
    later(1);
    await world.run({ sender: null });
  }
  const { sql } = world.database;
  const planned = await sql`select kind, status from billing.dunning_actions order by id`;
  expect(planned).toEqual([
    { kind: "notice", status: "planned" },
    { kind: "urgent_reminder", status: "planned" },
    { kind: "final_warning", status: "planned" },
  ]);
  later(0.1);
  await world.deliver();
  expect(world.mailsTo(who.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
  expect(await sql`select kind, status, note from billing.dunning_actions order by id`).toEqual([
    { kind: "notice", status: "canceled", note: "withheld: stale" },
    { kind: "urgent_reminder", status: "canceled", note: "withheld: stale" },
    { kind: "final_warning", status: "canceled", note: "withheld: stale" },
    { kind: "notice", status: "sent", note: null },
  ]);
  const released = await sql`
    select distinct outcome from billing.release_withheld(
      array(select id from billing.outbox where dedupe_key like 'dunning:%' and status = 'withheld'), ${world.now})`;
  expect(released).toEqual([{ outcome: "decided_anew" }]);
});

it("the webhook first and everything else weeks later: one notice to whoever is overdue, and nothing old", async () => {
  const paying = await world.subscribe();
  const who = await overdueWithoutMail();
  later(25);
  await world.run();
  expect(world.mailsTo(paying.email)).toEqual(["payment-receipt"]);
  expect(world.mailsTo(who.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
});

/** Somebody with a receipt, whose renewal was declined since; nothing was delivered after that. */
async function overdueWithoutMail(): Promise<Subscriber> {
  const who = await world.subscribe();
  await world.arrive();
  await world.deliver();
  await world.breakCard(who);
  const { items } = await world.stripe.subscriptions.retrieve(who.subscription);
  await world.passTime(new Date((items.data[0]?.current_period_end ?? 0) * 1000));
  await world.passTime(new Date(world.now.getTime() + 3_660_000));
  return who;
}
