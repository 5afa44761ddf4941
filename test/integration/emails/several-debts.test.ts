import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";
import { asService, days, FINAL, mails, NOTICE, newSubscriber, URGENT } from "../dunning/overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

describe.each([
  {
    language: "en",
    date: (at: Date) => at.toLocaleDateString("en-US", { dateStyle: "long", timeZone: "UTC" }),
    dollars: (amount: number) => `$${amount}.00`,
    ends: (at: string, by: string) => `ends on ${at} unless paid by ${by}`,
    first: /^The first of your Example App subscriptions ends on/,
    plural: /subscriptions/,
    one: "your Plan of 2000 usd a month subscription",
  },
  {
    language: "de",
    date: (at: Date) => at.toLocaleDateString("de-DE", { dateStyle: "long", timeZone: "UTC" }),
    dollars: (amount: number) => `${amount},00 $`,
    ends: (at: string, by: string) => `endet am ${at}, wenn nicht bis zum ${by} bezahlt ist`,
    first: /^Das erste Ihrer Abonnements bei Example App endet am/,
    plural: /Abonnements/,
    one: "Ihr Abonnement „Plan of 2000 usd a month“",
  },
])("in the inbox, in $language", ({ language, date, dollars, ends, first, plural, one }) => {
  async function subscriber(): Promise<Subscriber> {
    const somebody = await newSubscriber(world);
    await world.stripe.customers.update(somebody.customer, { preferred_locales: [language] });
    await world.arrive();
    return somebody;
  }
  async function endOf(subscription: string): Promise<Date> {
    const [row] = await world.database.sql<{ at: Date }[]>`
      select max(d.ends_at) as at from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id
      where c.subscription = ${subscription} and d.status = 'sent'`;
    return row?.at as Date;
  }
  const texts = (template: string) =>
    world.inbox
      .emails()
      .filter(({ tags }) => tags?.some(({ value }) => value === template))
      .map(({ subject, text }) => `${subject}\n${text}`.replaceAll(/[\u00a0\u202f]/g, " "));
  const dayBefore = (at: Date) => new Date(at.getTime() - DAY);

  it("what failed three hours before another's final warning gets a notice, and has its own date", async () => {
    const somebody = await subscriber();
    const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
    const end = (items.data[0]?.current_period_end ?? 0) * 1000;
    const other = await world.addSubscription(somebody.customer, 700, "usd", {
      trial_end: (end + 7 * DAY - 2 * HOUR) / 1000,
    });
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    await world.renew(somebody);
    await days(world, 6);
    expect(mails(world, somebody).filter((it) => it.startsWith("payment-failed"))).toEqual([NOTICE, URGENT]);
    // The other fails, and nothing of ours runs before the daily run that finds both.
    await world.passTime(new Date(world.now.getTime() + 22 * HOUR));
    await world.passTime(new Date(world.now.getTime() + 2 * HOUR));
    await world.run();
    const failures = mails(world, somebody).filter((it) => it.startsWith("payment-failed"));
    expect(failures.toSorted()).toEqual([FINAL, NOTICE, NOTICE, URGENT]);
    const final = texts(FINAL)[0] ?? "";
    const notice = texts(NOTICE)[1] ?? "";
    expect(final).toContain(dollars(20));
    expect(final).not.toContain(dollars(7));
    expect(final).toContain(date(await endOf(somebody.subscription)));
    expect(notice).toContain(dollars(7));
    expect(notice).not.toContain(dollars(20));
    expect(notice).toContain(date(dayBefore(await endOf(other.id))));
    expect(final).not.toMatch(plural);
  });

  it("two that are equally severe are one mail, each with its own date", async () => {
    const ladder = (last: number) =>
      `[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "final_warning"}, {"day": ${last}, "kind": "end"}]`;
    await asService(world, `billing.define_dunning_policy('default', '${ladder(7)}')`);
    await asService(world, `billing.define_dunning_policy('patient', '${ladder(12)}')`);
    const somebody = await subscriber();
    const other = await world.addSubscription(somebody.customer, 700, "usd");
    const price = String(other.items.data[0]?.price.id);
    await asService(world, "billing.assign_dunning_policy('price', $1, 'patient')", price);
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    const { deliver } = world;
    world.deliver = async () => {};
    await world.renew(somebody);
    world.deliver = deliver;
    await world.deliver();
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL]);
    const text = texts(FINAL)[0] ?? "";
    const [sooner, later] = [await endOf(somebody.subscription), await endOf(other.id)];
    expect(later.getTime() - sooner.getTime()).toBe(5 * DAY);
    for (const template of [NOTICE, FINAL])
      for (const at of [sooner, later])
        expect(texts(template)[0]).toContain(ends(date(at), date(dayBefore(at))));
    expect(text).toMatch(first);
    expect(text).toContain(dollars(27));
  });

  it("one subscription with two invoices is one subscription, with one date", async () => {
    await asService(
      world,
      `billing.define_dunning_policy('default', '[{"day": 0, "kind": "notice"}, {"day": 33, "kind": "urgent_reminder"}, {"day": 40, "kind": "final_warning"}, {"day": 45, "kind": "end"}]')`,
    );
    const somebody = await subscriber();
    await world.breakCard(somebody);
    await world.renew(somebody);
    await world.renew(somebody);
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    const text = texts(URGENT)[0] ?? "";
    expect(text).toContain(dollars(40));
    expect(text).toContain(one);
    expect(text).not.toMatch(plural);
    expect(text).toContain(date(await endOf(somebody.subscription)));
  });
});

it("of reminders due in one run the severest leaves, and the milder one a day later", async () => {
  const ladder = (kind: string, last: number) =>
    `[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "${kind}"}${kind === "final_warning" ? "" : `, {"day": ${last - 4}, "kind": "final_warning"}`}, {"day": ${last}, "kind": "end"}]`;
  await asService(world, `billing.define_dunning_policy('default', '${ladder("final_warning", 9)}')`);
  await asService(world, `billing.define_dunning_policy('patient', '${ladder("urgent_reminder", 16)}')`);
  const somebody = await newSubscriber(world);
  const other = await world.addSubscription(somebody.customer, 700, "usd");
  await asService(
    world,
    "billing.assign_dunning_policy('price', $1, 'patient')",
    String(other.items.data[0]?.price.id),
  );
  await world.arrive();
  await world.deliver();
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 2);
  const before = mails(world, somebody).length;
  const preview = await world.database.sql`
    select subject_id, would as action from billing.dunning_preview(${new Date(world.now.getTime() + DAY)})`;
  expect(Object.fromEntries(preview.map(({ subject_id, action }) => [subject_id, action]))).toEqual({
    [somebody.subscription]: "send payment-failed-final",
    [other.id]: "wait a day: a final warning leaves",
  });
  await days(world, 1);
  expect(mails(world, somebody).slice(before)).toEqual([FINAL]);
  await days(world, 1);
  expect(mails(world, somebody).slice(before)).toEqual([FINAL, URGENT]);
});
