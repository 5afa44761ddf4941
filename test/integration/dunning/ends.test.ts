import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  asService,
  caseOf,
  days,
  done,
  FINAL,
  mails,
  NOTICE,
  newSubscriber,
  openInvoice,
  overdueSubscriber,
  pay,
  stepsOf,
  URGENT,
} from "./overdue.ts";

const LADDER = `[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "urgent_reminder"}, {"day": 7, "kind": "final_warning"}, {"day": 10, "kind": "end"}]`;

let world: DunningWorld;
const people: Record<string, Subscriber> = {};
/** Whether somebody has what they pay for, day by day of their ladder. */
const access: Record<string, boolean[]> = {};
const openAt: Record<string, string> = {};

const hasAccess = async ({ customer }: Subscriber) => {
  const found = await world.database.sql`
    select from billing.entitlements as e join billing.customers as c on c.owner_id = e.owner_id
    where c.id = ${customer} and e.feature = 'reports'`;
  return found.length > 0;
};

/** A subscriber with a user and a feature, on a policy of their own. */
async function subscriberWith(policy: string, options: string): Promise<Subscriber> {
  await asService(world, `billing.define_dunning_policy('${policy}', '${LADDER}', ${options})`);
  const somebody = await newSubscriber(world);
  const user = await world.database.signUp();
  await world.stripe.customers.update(somebody.customer, { metadata: { owner_id: user } });
  await world.arrive();
  await asService(world, "billing.assign_dunning_policy('customer', $1, $2)", somebody.customer, policy);
  people[policy] = somebody;
  return somebody;
}

beforeAll(async () => {
  world = await DunningWorld.open();
  const first = await newSubscriber(world);
  const { items } = await world.stripe.subscriptions.retrieve(first.subscription);
  await world.stripe.products.update(String(items.data[0]?.price.product), {
    metadata: { features: "reports" },
  });
  await world.arrive();
  await subscriberWith("cancels", "'cancel'");
  await subscriberWith("pauses", "'pause'");
  await subscriberWith("gives-up", "'mark_uncollectible'");
  await subscriberWith("leaves", "'leave'");
  await subscriberWith("no-grace", "'cancel', p_keeps_access => false");
  for (const [name, somebody] of Object.entries(people)) {
    expect(await hasAccess(somebody), name).toBe(true);
    await world.breakCard(somebody);
  }
  await world.renew(people.leaves as Subscriber);
  for (const [name, somebody] of Object.entries(people))
    openAt[name] = String((await openInvoice(world, somebody)).id);
  for (let day = 0; day <= 11; day++) {
    if (day > 0) await world.nextDay();
    for (const [name, somebody] of Object.entries(people)) {
      access[name] = [...(access[name] ?? []), await hasAccess(somebody)];
    }
  }
}, 120_000);
afterAll(() => world.close());

const person = (name: string) => people[name] as Subscriber;
const invoiceNow = (name: string) => world.stripe.invoices.retrieve(String(openAt[name]));
const subscriptionNow = (name: string) => world.stripe.subscriptions.retrieve(person(name).subscription);
const tenDaysThen = (after: boolean) => [...Array(10).fill(true), after, after];

describe("by its policy a ladder ends", () => {
  it.each(["cancels", "pauses", "gives-up", "leaves", "no-grace"])(
    "%s: after all three mails, once",
    async (name) => {
      expect(mails(world, person(name)).slice(0, 3)).toEqual([NOTICE, URGENT, FINAL]);
      expect(await stepsOf(world, person(name).subscription)).toEqual([
        "notice sent",
        "urgent_reminder sent",
        "final_warning sent",
        "end done",
      ]);
      expect(await caseOf(world, person(name).subscription)).toMatchObject({
        status: "closed",
        outcome: "ended",
      });
    },
  );

  it("with the subscription canceled, and a mail; the invoice stays payable", async () => {
    expect((await subscriptionNow("cancels")).status).toBe("canceled");
    expect(mails(world, person("cancels")).at(-1)).toBe("subscription-canceled");
    expect((await invoiceNow("cancels")).status).toBe("open");
    expect(access.cancels).toEqual(tenDaysThen(false));
  });

  it("with the subscription's collection and access paused, and a mail", async () => {
    expect(await subscriptionNow("pauses")).toMatchObject({ pause_collection: { behavior: "void" } });
    expect(done(world, "subscription.canceled", person("pauses").subscription)).toBe(0);
    expect(mails(world, person("pauses")).slice(3)).toEqual(["subscription-paused"]);
    expect(access.pauses).toEqual(tenDaysThen(false));
  });

  it("with the invoices marked uncollectible, and no mail", async () => {
    expect((await invoiceNow("gives-up")).status).toBe("uncollectible");
    expect((await subscriptionNow("gives-up")).status).not.toBe("canceled");
    expect(mails(world, person("gives-up"))).toHaveLength(3);
    expect(access["gives-up"]).toEqual(tenDaysThen(true));
  });

  it("with nothing done at all, and no mail", async () => {
    expect((await invoiceNow("leaves")).status).toBe("open");
    expect((await subscriptionNow("leaves")).status).toBe("past_due");
    expect(mails(world, person("leaves"))).toHaveLength(3);
    expect(access.leaves).toEqual(tenDaysThen(true));
  });

  it("and without grace access goes on the first day, and the mails do not promise it", async () => {
    expect(access["no-grace"]).toEqual(Array(12).fill(false));
  });
});

describe("afterwards", () => {
  it("access that was paused comes back when collection does", async () => {
    await world.stripe.subscriptions.update(person("pauses").subscription, { pause_collection: "" });
    await world.arrive();
    expect(await hasAccess(person("pauses"))).toBe(true);
  });

  it("what was left unpaid opens no case again, and the next invoice does", async () => {
    await days(world, 2);
    expect(mails(world, person("leaves"))).toHaveLength(3);
    await world.renew(person("leaves"));
    expect(mails(world, person("leaves"))).toEqual([NOTICE, URGENT, FINAL, NOTICE]);
  });

  it("without grace, access is back with the payment", async () => {
    const somebody = await overdueSubscriber(world);
    const user = await world.database.signUp();
    await world.stripe.customers.update(somebody.customer, { metadata: { owner_id: user } });
    await world.arrive();
    expect(await hasAccess(somebody)).toBe(true);
    await pay(world, somebody);
    await asService(world, "billing.assign_dunning_policy('customer', $1, 'no-grace')", somebody.customer);
    await world.breakCard(somebody);
    await world.renew(somebody);
    expect(await hasAccess(somebody)).toBe(false);
    await pay(world, somebody);
    expect(await hasAccess(somebody)).toBe(true);
  });
});
