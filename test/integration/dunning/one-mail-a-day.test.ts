import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
beforeAll(async () => {
  world = await DunningWorld.open();
});
afterAll(() => world.close());

const failureMails = ({ email }: Subscriber) =>
  world.mailsTo(email).filter((template) => template.startsWith("payment-failed-"));

describe("a customer with two subscriptions whose payments fail five hours apart", () => {
  it("hears of each at once, and is reminded of both with one mail, no sooner than 20 hours after another", async () => {
    const somebody = await world.subscribe();
    const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
    const end = items.data[0]?.current_period_end ?? 0;
    await world.addSubscription(somebody.customer, 900, "usd", { trial_end: end + 5 * 3600 });
    await world.breakCard(somebody);

    await world.renew(somebody);
    expect(failureMails(somebody)).toEqual(["payment-failed-notice"]);
    await world.passTime(new Date(world.now.getTime() + 5 * HOUR));
    await world.deliver();
    const cases = await world.database.sql`
      select status from billing.dunning_cases where customer = ${somebody.customer}`;
    expect(cases).toHaveLength(2);
    expect(failureMails(somebody)).toEqual(["payment-failed-notice", "payment-failed-notice"]);

    const reminders: number[] = [];
    for (let day = 1; day <= 5; day++) {
      const before = failureMails(somebody).length;
      await world.nextDay();
      if (failureMails(somebody).length > before) reminders.push(day);
    }
    // The daily run comes at the hour of the second failure: on day 3 both are due.
    expect(failureMails(somebody).slice(2)).toEqual(["payment-failed-urgent"]);
    expect(reminders).toEqual([3]);
  });
});
