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
  it("hears of the second a day later, not twice in a day", async () => {
    const somebody = await world.subscribe();
    const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
    const end = items.data[0]?.current_period_end ?? 0;
    await world.addSubscription(somebody.customer, 900, "usd", { trial_end: end + 5 * 3600 });
    await world.breakCard(somebody);

    await world.renew(somebody);
    expect(failureMails(somebody)).toEqual(["payment-failed-notice"]);
    // The second one's draft is an hour old.
    await world.passTime(new Date(world.now.getTime() + 5 * HOUR));
    await world.deliver();
    const cases = await world.database.sql`
      select status from billing.dunning_cases where customer = ${somebody.customer}`;
    expect(cases).toHaveLength(2);
    expect(failureMails(somebody)).toEqual(["payment-failed-notice"]);

    await world.nextDay();
    expect(failureMails(somebody)).toEqual(["payment-failed-notice", "payment-failed-notice"]);
  });
});
