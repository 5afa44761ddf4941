import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decideDispute } from "../../../scripts/local/stripe/buyer.ts";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  alerts,
  asService,
  CANCELED,
  caseOf,
  days,
  FINAL,
  hours,
  mails,
  NOTICE,
  overdueSubscriber,
  stepsOf,
  URGENT,
} from "./overdue.ts";

// A warning that nobody acted on for a week, or that never arrived, is not what somebody is ended by.

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const id = async ({ subscription }: Subscriber) => (await caseOf(world, subscription))?.id;
const status = async ({ subscription }: Subscriber) =>
  (await world.stripe.subscriptions.retrieve(subscription)).status;
/** Days in which nothing needs to happen hour by hour. */
async function weeks(count: number): Promise<void> {
  for (let week = 0; week < count; week++) {
    await world.passTime(new Date(world.now.getTime() + 7 * DAY));
    await world.run();
  }
}

describe("held after the final warning", () => {
  it.each([
    {
      by: "a person",
      hold: async (somebody: Subscriber) => {
        await asService(
          world,
          "billing.hold_dunning($1, 'asked for time', null, $2)",
          await id(somebody),
          world.now,
        );
        return async () => {
          await asService(world, "billing.release_dunning($1, null, $2)", await id(somebody), world.now);
        };
      },
    },
    {
      by: "a dispute",
      hold: async (somebody: Subscriber) => {
        const card = await world.stripe.paymentMethods.attach("pm_card_createDispute", {
          customer: somebody.customer,
        });
        await world.stripe.paymentIntents.create({
          amount: 100,
          currency: "usd",
          customer: somebody.customer,
          payment_method: card.id,
          confirm: true,
          off_session: true,
        });
        await world.arrive();
        const { data } = await world.stripe.disputes.list({ limit: 1 });
        return async () => {
          await decideDispute(world.stripe, String(data[0]?.id), "won");
          await world.arrive();
        };
      },
    },
  ])("for weeks by $by, and let go: warned anew, and ended three days later", async ({ hold }) => {
    const somebody = await overdueSubscriber(world);
    await days(world, 8);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    const release = await hold(somebody);
    await weeks(4);
    await release();
    await hours(world, 2);
    await world.run();
    expect(await status(somebody)).not.toBe("canceled");
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, FINAL]);
    await days(world, 2);
    expect(await status(somebody)).not.toBe("canceled");
    await days(world, 2);
    expect(await status(somebody)).toBe("canceled");
    expect(await stepsOf(world, somebody.subscription)).toEqual([
      "notice sent",
      "urgent_reminder sent",
      "final_warning sent",
      "final_warning sent",
      "end done",
    ]);
  });

  it("for less than a week: the warning stands", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 8);
    await asService(world, "billing.hold_dunning($1, 'on holiday', null, $2)", await id(somebody), world.now);
    await days(world, 6);
    expect(await status(somebody)).not.toBe("canceled");
    await asService(world, "billing.release_dunning($1, null, $2)", await id(somebody), world.now);
    await world.deliver();
    expect(await status(somebody)).toBe("canceled");
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });
});

it("after an outage of Stripe's of two weeks at the end, too", async () => {
  const somebody = await overdueSubscriber(world);
  await days(world, 8);
  const away = { stripe: { url: "http://127.0.0.1:9" } };
  for (let day = 0; day < 14; day++) {
    world.now = new Date(world.now.getTime() + DAY);
    await world.run(away);
  }
  await world.run();
  await days(world, 1);
  expect(await status(somebody)).not.toBe("canceled");
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, FINAL]);
  await days(world, 4);
  expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, FINAL, CANCELED]);
});

describe("a warning that cannot be delivered", () => {
  it("since Resend will not have the address: held where people see it, and due again with another address", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 5);
    await world.stripe.customers.update(somebody.customer, { email: "nobody at all" });
    await days(world, 6);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({
      status: "open",
      holds: ["undeliverable_address"],
    });
    expect(await alerts(world)).toEqual(["dead_effect", "dunning_undeliverable"]);
    const shown = () => world.database.sql`select step, would from billing.dunning_preview(${world.now})`;
    expect(await shown()).toEqual([{ step: "final_warning", would: "wait: undeliverable_address" }]);

    await world.stripe.customers.update(somebody.customer, { email: somebody.email });
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await days(world, 2);
    expect(await status(somebody)).not.toBe("canceled");
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });

  it("as Resend is away for two weeks: it leaves when Resend is back, and gives three days", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 6);
    const away = { resend: { url: "http://127.0.0.1:9" } };
    for (let day = 0; day < 14; day++) {
      for (let quarter = 0; quarter < 4; quarter++) {
        await world.passTime(new Date(world.now.getTime() + 6 * 3_600_000));
        await world.deliver(away);
      }
      await world.run(away);
    }
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
    expect(await alerts(world)).toContain("dead_effect");
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await days(world, 2);
    expect(await status(somebody)).not.toBe("canceled");
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });

  it("as it is switched off: nothing ends, and the hold says why", async () => {
    await world.database.sql`update billing.settings set emails_off = '{payment-failed-final}'`;
    const somebody = await overdueSubscriber(world);
    await days(world, 12);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({
      status: "open",
      holds: ["warning_switched_off"],
    });
    await world.database.sql`update billing.settings set emails_off = '{}'`;
    await days(world, 5);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });
});
