import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
beforeAll(async () => {
  world = await DunningWorld.open();
});
afterAll(() => world.close());

/** A subscriber whose renewal has just failed, and the failure mails since. */
async function overdueSubscriber(): Promise<Subscriber> {
  const somebody = await world.subscribe();
  await world.arrive();
  await world.deliver();
  await world.breakCard(somebody);
  await world.renew(somebody);
  return somebody;
}

const failureMails = (somebody: Subscriber) =>
  world.mailsTo(somebody.email).filter((template) => template !== "payment-receipt");

describe("the default ladder", () => {
  it("writes on days 0, 3 and 7, cancels on day 10 and says so, with an audit event for each", async () => {
    const somebody = await overdueSubscriber();
    const days: Record<string, string[]> = {};
    let told = failureMails(somebody).length;
    days[0] = failureMails(somebody);
    for (let day = 1; day <= 12; day++) {
      await world.nextDay();
      const mails = failureMails(somebody);
      if (mails.length > told) days[day] = mails.slice(told);
      told = mails.length;
    }
    expect(days).toEqual({
      0: ["payment-failed-notice"],
      3: ["payment-failed-urgent"],
      7: ["payment-failed-final"],
      10: ["subscription-canceled"],
    });
    expect((await world.stripe.subscriptions.retrieve(somebody.subscription)).status).toBe("canceled");
    const [shown] = await world.database.sql`
      select s.status, c.outcome
      from billing.subscriptions as s join billing.dunning_cases as c on c.subscription = s.id
      where s.id = ${somebody.subscription}`;
    expect(shown).toEqual({ status: "canceled", outcome: "ended" });
    const audited = await world.database.sql`
      select action from billing.audit_events
      where subject_id = ${somebody.subscription} and action like 'dunning.%' order by id`;
    expect(audited.map(({ action }) => action)).toEqual([
      "dunning.opened",
      "dunning.notice",
      "dunning.urgent_reminder",
      "dunning.final_warning",
      "dunning.end",
      "dunning.closed",
    ]);
  });
});

void DAY;
