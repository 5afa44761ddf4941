import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decideDispute } from "../../../scripts/local/stripe/buyer.ts";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  asService,
  CANCELED,
  caseOf,
  days,
  done,
  FINAL,
  hours,
  mails,
  NOTICE,
  newSubscriber,
  stepsOf,
  URGENT,
} from "./overdue.ts";

/** Each is overdue like the others; what holds them begins on day 1 and ends on day 8. */
const REASONS = [
  "dispute",
  "paused_collection",
  "manual",
  "manual_until",
  "excluded_customer",
  "nothing",
] as const;
type Reason = (typeof REASONS)[number];

let world: DunningWorld;
let dispute: string;
const people = {} as Record<Reason, Subscriber>;
const heard = {} as Record<Reason, Record<number, string[]>>;
const holds = {} as Record<Reason, string[]>;

async function hold() {
  const { stripe } = world;
  await stripe.paymentIntents.create({
    amount: 100,
    currency: "usd",
    customer: people.dispute.customer,
    payment_method: "pm_card_createDispute",
    confirm: true,
    off_session: true,
  });
  dispute = (await stripe.disputes.list({ limit: 1 })).data[0]?.id ?? "";
  await stripe.subscriptions.update(people.paused_collection.subscription, {
    pause_collection: { behavior: "void" },
  });
  const { id } = (await caseOf(world, people.manual.subscription)) ?? {};
  await asService(world, "billing.hold_dunning($1, 'asked for time', null, $2)", id, world.now);
  const until = new Date(world.now.getTime() + 7 * DAY - 60_000);
  const { id: other } = (await caseOf(world, people.manual_until.subscription)) ?? {};
  await asService(world, "billing.hold_dunning($1, 'asked for a week', $2, $3)", other, until, world.now);
  await asService(
    world,
    "billing.exclude_from_dunning($1, 'a friend of the house', null, $2)",
    people.excluded_customer.customer,
    world.now,
  );
  await world.arrive();
}

async function release() {
  await decideDispute(world.stripe, dispute, "won");
  await world.stripe.subscriptions.update(people.paused_collection.subscription, { pause_collection: "" });
  const { id } = (await caseOf(world, people.manual.subscription)) ?? {};
  expect(await asService(world, "billing.release_dunning($1, null, $2)", id, world.now)).toBe(1);
  const { customer } = people.excluded_customer;
  expect(await asService(world, "billing.release_dunning(null, $1, $2)", customer, world.now)).toBe(1);
  await world.arrive();
  await world.deliver();
}

beforeAll(async () => {
  world = await DunningWorld.open();
  for (const reason of REASONS) people[reason] = await newSubscriber(world);
  for (const reason of REASONS) await world.breakCard(people[reason]);
  await world.renew(people.nothing);
  for (let day = 1; day <= 14; day++) {
    const before = Object.fromEntries(REASONS.map((reason) => [reason, mails(world, people[reason]).length]));
    await world.nextDay();
    if (day === 1) await hold();
    if (day === 7) {
      for (const reason of REASONS)
        holds[reason] = (await caseOf(world, people[reason].subscription))?.holds ?? [];
    }
    if (day === 8) await release();
    for (const reason of REASONS) {
      const news = mails(world, people[reason]).slice(before[reason]);
      if (news.length > 0) heard[reason] = { ...heard[reason], [day]: news };
    }
  }
}, 120_000);
afterAll(() => world.close());

describe("while something holds a case no step is taken; then the highest that is due, and no end sooner than three days after the warning", () => {
  it("which happens to no case without a hold", () => {
    expect(holds.nothing).toEqual([]);
    expect(heard.nothing).toEqual({ 3: [URGENT], 7: [FINAL], 10: [CANCELED] });
  });

  it.each(["dispute", "paused_collection"] as const)("%s: the next run finds out", (reason) => {
    expect(holds[reason]).toEqual([reason]);
    expect(heard[reason]).toEqual({ 9: [FINAL], 12: [CANCELED] });
  });

  it("a person's hold: released, what is due is done at once", () => {
    expect(holds.manual).toEqual(["manual"]);
    expect(heard.manual).toEqual({ 8: [FINAL], 11: [CANCELED] });
  });

  it("a person's hold until a time: it ends by itself", () => {
    expect(holds.manual_until).toEqual(["manual"]);
    expect(heard.manual_until).toEqual({ 8: [FINAL], 11: [CANCELED] });
  });

  it("an excluded customer: released, what is due is done at once", () => {
    expect(holds.excluded_customer).toEqual(["excluded_customer"]);
    expect(heard.excluded_customer).toEqual({ 8: [FINAL], 11: [CANCELED] });
  });

  it("and what was skipped is recorded, as is the end", async () => {
    expect(await stepsOf(world, people.dispute.subscription)).toEqual([
      "notice sent",
      "urgent_reminder skipped",
      "final_warning sent",
      "end done",
    ]);
  });
});

describe("an address that takes no mail", () => {
  let somebody: Subscriber;
  const caseNow = () => caseOf(world, somebody.subscription);
  const tell = async (type: string) => {
    const mail = world.inbox.ledger.mailsWhere({ to: somebody.email }).at(-1);
    const report = {
      type,
      created_at: world.now.toISOString(),
      data: { email_id: mail?.id, tags: mail?.tags, bounce: { type: "Permanent", message: "no such user" } },
    };
    await asService(
      world,
      "billing.receive_email_report($1, $2::jsonb, $3)",
      `x_${mail?.id}`,
      report,
      world.now,
    );
  };

  it("holds the case from its end when the final warning bounced, however long", async () => {
    somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    await world.renew(somebody);
    await days(world, 7);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await tell("email.bounced");
    await days(world, 10);
    expect(await caseNow()).toMatchObject({ status: "open", holds: ["undeliverable_address"] });
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
  });

  it("until there is another, which gets the warning again, and three days", async () => {
    const email = "reachable@example.com";
    await world.stripe.customers.update(somebody.customer, { email });
    await world.arrive();
    await days(world, 3);
    expect(mails(world, { email })).toEqual([FINAL]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
    await days(world, 2);
    expect(mails(world, { email })).toEqual([FINAL, CANCELED]);
    expect(await stepsOf(world, somebody.subscription)).toEqual([
      "notice sent",
      "urgent_reminder sent",
      "final_warning undeliverable",
      "final_warning sent",
      "end done",
    ]);
  });
});

it("what begins between the decision to end and the end calls it off", async () => {
  const somebody = await newSubscriber(world);
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 10);
  let reviews = 0;
  world.parts.reach = async (point) => {
    if (point !== "end_reviewed" || ++reviews !== 1) return;
    await world.stripe.subscriptions.update(somebody.subscription, {
      pause_collection: { behavior: "void" },
    });
  };
  await days(world, 1);
  world.parts.reach = undefined;
  expect(reviews).toBe(2);
  expect((await stepsOf(world, somebody.subscription)).at(-1)).toBe("end canceled");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({
    status: "open",
    holds: ["paused_collection"],
  });
  expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
  await world.stripe.subscriptions.update(somebody.subscription, { pause_collection: "" });
  await world.arrive();
  await days(world, 1);
  expect(done(world, "subscription.canceled", somebody.subscription)).toBe(1);
});

it("a mail that bounced for the moment only is written again, but not the same day", async () => {
  const somebody = await newSubscriber(world);
  await world.breakCard(somebody);
  await world.renew(somebody);
  const mail = world.inbox.ledger.mailsWhere({ to: somebody.email }).at(-1);
  const report = {
    type: "email.bounced",
    created_at: world.now.toISOString(),
    data: { email_id: mail?.id, tags: mail?.tags, bounce: { type: "Transient", message: "mailbox full" } },
  };
  await asService(world, "billing.receive_email_report('x_transient', $1::jsonb, $2)", report, world.now);
  await world.run();
  await hours(world, 1);
  await world.run();
  expect(mails(world, somebody)).toEqual([NOTICE]);
  await days(world, 1);
  expect(mails(world, somebody)).toEqual([NOTICE, NOTICE]);
  expect(await stepsOf(world, somebody.subscription)).toEqual(["notice undeliverable", "notice sent"]);
});

it("what is left below the policy's minimum waits, and is not asked for", async () => {
  await asService(
    world,
    `billing.define_dunning_policy('not-for-little', '[{"day": 0, "kind": "notice"}, {"day": 34, "kind": "final_warning"}]', 'leave', p_minimum_amounts => '{"usd": 2500}')`,
  );
  const somebody = await newSubscriber(world);
  await asService(
    world,
    "billing.assign_dunning_policy('customer', $1, 'not-for-little')",
    somebody.customer,
  );
  await world.breakCard(somebody);
  await world.renew(somebody);
  expect(mails(world, somebody)).toEqual([]);
  expect(await caseOf(world, somebody.subscription)).toBeUndefined();
  // With the next month's it is enough, until one of them is paid.
  await world.renew(somebody);
  expect(mails(world, somebody)).toEqual([NOTICE]);
  const { data } = await world.stripe.invoices.list({ subscription: somebody.subscription, status: "open" });
  await world.breakCard(somebody, "succeed");
  await world.stripe.invoices.pay(String(data[0]?.id));
  await world.breakCard(somebody);
  await world.arrive();
  await days(world, 5);
  expect(await caseOf(world, somebody.subscription)).toMatchObject({
    status: "open",
    holds: ["below_minimum"],
  });
  expect(mails(world, somebody)).toEqual([NOTICE]);
});
