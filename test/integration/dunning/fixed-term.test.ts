import { afterEach, beforeEach, expect, it } from "vitest";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  CANCELED,
  caseOf,
  days,
  FINAL,
  lastText,
  mails,
  NOTICE,
  newSubscriber,
  overdueSubscriber,
  pay,
  RECOVERED,
  URGENT,
} from "./overdue.ts";

// A subscription that ends anyway is ended for non-payment only where it would go on beyond that end, and only once its
// customer was told. Leaving is who canceled for a day before.

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const utcDay = (at: number) =>
  new Intl.DateTimeFormat("en", { dateStyle: "long", timeZone: "UTC" }).format(new Date(at));
const seconds = (at: number) => Math.floor(at / 1000);
const status = async ({ subscription }: Subscriber) =>
  (await world.stripe.subscriptions.retrieve(subscription)).status;
/** Cancels for a day, as the portal does under flexible billing. */
async function cancelFor({ subscription }: Subscriber, at: number | ""): Promise<void> {
  await world.stripe.subscriptions.update(subscription, { cancel_at: at === "" ? "" : seconds(at) });
  await world.arrive();
}

it("a term of a year has the whole ladder, and its warning names the end and says that it comes before the term's", async () => {
  const term = world.now.getTime() + 365 * DAY;
  const somebody = await newSubscriber(world, { params: { cancel_at: seconds(term) } });
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 8);
  const text = await lastText(world, somebody.email, FINAL);
  expect(text).toMatch(/we will cancel .* on .*2026/);
  expect(text).toContain(`This comes before ${utcDay(term)}`);
  expect(text).not.toContain("already set to end");
  await days(world, 4);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
});

it("paid, it continues as before", async () => {
  const somebody = await newSubscriber(world, {
    params: { cancel_at: seconds(world.now.getTime() + 365 * DAY) },
  });
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 2);
  await pay(world, somebody);
  expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
  expect(await lastText(world, somebody.email, RECOVERED)).toContain("continues as before");
});

it("the confirmation of a cancellation names the end that comes before it, as the warning and the banner do", async () => {
  const somebody = await overdueSubscriber(world);
  await days(world, 8);
  const leavesAt = world.now.getTime() + 20 * DAY;
  await cancelFor(somebody, leavesAt);
  await world.deliver();
  const [named] = await world.database
    .sql`select ends_at as at from billing.dunning_actions where kind = 'final_warning'`;
  const text = await lastText(world, somebody.email, CANCELED);
  expect(text).toContain(`It ends on ${utcDay(leavesAt)}`);
  expect(text).toContain("An invoice of $20.00 is still unpaid");
  expect(text).toContain(
    `If it is not paid by ${utcDay(named?.at.getTime() - DAY)}, the subscription already ends on ${utcDay(named?.at)}.`,
  );
  expect(text).not.toContain("as paid for");
});

it("the confirmation of one for a day before names that day alone, and what is open; paid, nothing is", async () => {
  const somebody = await overdueSubscriber(world);
  await cancelFor(somebody, world.now.getTime() + 4 * DAY);
  await world.deliver();
  const text = await lastText(world, somebody.email, CANCELED);
  expect(text).toContain("An invoice of $20.00 is still unpaid");
  expect(text).not.toMatch(/already ends|as paid for/);
  const other = await newSubscriber(world);
  // Else it would be a term set when it was made.
  await days(world, 1);
  await cancelFor(other, world.now.getTime() + 4 * DAY);
  await world.deliver();
  expect(await lastText(world, other.email, CANCELED)).toMatch(/as paid for/);
});

it("canceled for a day after the end of the ladder, it has the whole ladder too", async () => {
  const somebody = await overdueSubscriber(world);
  const leavesAt = world.now.getTime() + 25 * DAY;
  await cancelFor(somebody, leavesAt);
  await days(world, 12);
  expect(await lastText(world, somebody.email, FINAL)).toContain(`This comes before ${utcDay(leavesAt)}`);
  expect(mails(world, somebody).filter((mail) => mail !== CANCELED)).toEqual([NOTICE, URGENT, FINAL]);
  expect(await status(somebody)).toBe("canceled");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "ended" });
});

it("one that is canceled for an earlier day: no email announces an end, and dunning makes none", async () => {
  const somebody = await overdueSubscriber(world);
  await cancelFor(somebody, world.now.getTime() + 9 * DAY);
  await days(world, 8);
  for (const template of [URGENT, FINAL]) {
    const text = await lastText(world, somebody.email, template);
    expect(text, template).toContain("already set to end");
    expect(text, template).not.toMatch(/we will cancel|will end on/);
  }
  await days(world, 4);
  expect(await status(somebody)).toBe("canceled");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "subscription_ended" });
});

it("a customer who undoes the cancellation is warned of the end, which no email had named", async () => {
  const somebody = await overdueSubscriber(world);
  await cancelFor(somebody, world.now.getTime() + 9.5 * DAY);
  await days(world, 8);
  expect(mails(world, somebody).filter((mail) => mail !== CANCELED)).toEqual([NOTICE, URGENT, FINAL]);
  await cancelFor(somebody, "");
  await days(world, 1);
  expect(await lastText(world, somebody.email, FINAL)).toMatch(/we will cancel/);
  await days(world, 2);
  expect(await status(somebody)).not.toBe("canceled");
  await days(world, 2);
  expect(await status(somebody)).toBe("canceled");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "ended" });
});
