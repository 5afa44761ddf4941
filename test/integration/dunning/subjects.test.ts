import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DunningWorld, HOUR } from "../../support/dunning-world.ts";
import {
  asService,
  CANCELED,
  caseOf,
  days,
  FINAL,
  lastText,
  mails,
  NOTICE,
  newSubscriber,
  nobodyRuns,
  openInvoice,
  overdueSubscriber,
  RECOVERED,
  stepsOf,
  URGENT,
} from "./overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

describe("what comes late", () => {
  it("after the job was down: only the highest step that is due is taken, the lower ones are recorded as skipped", async () => {
    const somebody = await overdueSubscriber(world);
    await nobodyRuns(world, 8);
    await world.run();
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL]);
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL]);
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, FINAL, CANCELED]);
    expect(await stepsOf(world, somebody.subscription)).toEqual([
      "notice sent",
      "urgent_reminder skipped",
      "final_warning sent",
      "end done",
    ]);
  });

  it("a case that becomes known a month after the failure has the whole ladder from that day on", async () => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    world.arrives = () => false;
    await world.renew(somebody);
    await nobodyRuns(world, 25);
    world.arrives = () => true;
    await world.arriveLate();
    await world.run();
    expect(mails(world, somebody)).toEqual([NOTICE]);
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    await days(world, 4);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });

  it("two runs in a day are no reason to write twice, nor is one that was late followed by one in time", async () => {
    const somebody = await overdueSubscriber(world);
    await nobodyRuns(world, 6);
    world.now = new Date(world.now.getTime() + 23 * HOUR);
    await world.run();
    await world.run();
    world.now = new Date(world.now.getTime() + 2 * HOUR);
    await world.run();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    world.now = new Date(world.now.getTime() + 18 * HOUR);
    await world.run();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
  });
});

it("a subscription that never began is not chased for its first invoice", async () => {
  const { id: customer } = await world.stripe.customers.create({ email: "new@example.com" });
  const { id: card } = await world.stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  await world.stripe.customers.update(customer, { invoice_settings: { default_payment_method: card } });
  const { id, status } = await world.addSubscription(customer, 2000, "usd", {
    payment_behavior: "allow_incomplete",
  });
  expect(status).toBe("incomplete");
  await world.arrive();
  await world.run();
  await days(world, 5);
  expect(mails(world, { email: "new@example.com" })).toEqual([]);
  expect(await caseOf(world, id)).toBeUndefined();
});

describe("whoever owes several things", () => {
  it("hears of them in one mail for each currency", async () => {
    const somebody = await newSubscriber(world);
    const more = [
      await world.addSubscription(somebody.customer, 700, "usd"),
      await world.addSubscription(somebody.customer, 900, "eur"),
    ];
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    const { deliver } = world;
    world.deliver = async () => {};
    await world.renew(somebody);
    world.deliver = deliver;
    await world.deliver();
    expect(mails(world, somebody)).toEqual([NOTICE, NOTICE]);
    const texts = await world.database.sql<{ text: string }[]>`
      select text from billing.emails where template = ${NOTICE} order by outbox_id`;
    expect(texts.filter(({ text }) => text.includes("$20.00") && text.includes("$7.00"))).toHaveLength(1);
    expect(texts.filter(({ text }) => text.includes("€9.00"))).toHaveLength(1);
    for (const { id } of more) expect(await stepsOf(world, id)).toEqual(["notice sent"]);
    await days(world, 10);
    expect(mails(world, somebody).filter((template) => template !== CANCELED)).toEqual([
      NOTICE,
      NOTICE,
      URGENT,
      URGENT,
      FINAL,
      FINAL,
    ]);
    expect(mails(world, somebody).filter((template) => template === CANCELED)).toHaveLength(3);
  });

  it("in a mail written anew, where one of them is paid before it leaves", async () => {
    const somebody = await newSubscriber(world);
    const other = await world.addSubscription(somebody.customer, 700, "usd");
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    world.inbox.faults.add({ times: 1, action: { kind: "error", status: 503 } });
    await world.renew(somebody);
    expect(mails(world, somebody)).toEqual([]);
    await world.breakCard(somebody, "succeed");
    await world.stripe.invoices.pay(String((await openInvoice(world, somebody)).id));
    await world.breakCard(somebody);
    await world.arrive();
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE]);
    const text = await lastText(world, somebody.email, NOTICE);
    expect(text).toContain("$7.00");
    expect(text).not.toContain("$20.00");
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice canceled"]);
    expect(await stepsOf(world, other.id)).toEqual(["notice canceled", "notice sent"]);
  });

  it("in a mail of its own for each severity that is due in one run", async () => {
    const somebody = await newSubscriber(world);
    const sent = await world.addSubscription(somebody.customer, 700, "usd", {
      collection_method: "send_invoice",
      days_until_due: 3,
    });
    await world.arrive();
    await world.deliver();
    await world.breakCard(somebody);
    // What was sent for the first month is paid; what is sent for the second falls due on the day of the reminder.
    await world.passTime(new Date(world.now.getTime() + 2 * HOUR));
    const { data } = await world.stripe.invoices.list({ subscription: sent.id, status: "open" });
    await world.stripe.invoices.pay(String(data[0]?.id), { paid_out_of_band: true });
    await world.renew(somebody);
    await days(world, 4);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, NOTICE]);
    const [reminder, notice] = [
      await lastText(world, somebody.email, URGENT),
      await lastText(world, somebody.email, NOTICE),
    ];
    expect(reminder).toContain("$20.00");
    expect(reminder).not.toContain("$7.00");
    expect(notice).toContain("$7.00");
    expect(notice).not.toContain("$20.00");
    expect(await stepsOf(world, sent.id)).toEqual(["notice sent"]);
  });
});

it("with two invoices overdue days count from the earliest; when that is paid, the other has a ladder of its own", async () => {
  await asService(
    world,
    `billing.define_dunning_policy('default', '[{"day": 0, "kind": "notice"}, {"day": 33, "kind": "urgent_reminder"}]', 'leave')`,
  );
  const somebody = await overdueSubscriber(world);
  await world.renew(somebody);
  await days(world, 1);
  expect(mails(world, somebody)).toEqual([NOTICE]);
  await days(world, 2);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
  expect(await lastText(world, somebody.email, URGENT)).toContain("$40.00");

  const { data } = await world.stripe.invoices.list({ subscription: somebody.subscription, status: "open" });
  const earliest = data.toSorted((one, other) => one.created - other.created)[0];
  await world.breakCard(somebody, "succeed");
  await world.stripe.invoices.pay(String(earliest?.id));
  await world.breakCard(somebody);
  await world.arrive();
  await world.deliver();
  // Told of it already, with the other: it is not told again as if it were news.
  await days(world, 2);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open", amount_due: 4000 });
  expect(mails(world, somebody)).not.toContain(RECOVERED);
});
