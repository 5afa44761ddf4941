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

describe("a customer who has paid the oldest of what is overdue", () => {
  it("gets the mail about the next no sooner than 20 hours after another, as its failure was in that one", async () => {
    const slow = JSON.stringify([
      { day: 0, kind: "notice" },
      { day: 20, kind: "final_warning" },
      { day: 25, kind: "end" },
    ]);
    const weekly = await world.price(700, "usd", "week");
    const somebody = await world.subscribe({ params: { items: [{ price: weekly }] } });
    await world.arrive();
    await world.database.asService(async (sql) => {
      await sql`select billing.define_dunning_policy('slow', ${slow}::text::jsonb)`;
      await sql`select billing.assign_dunning_policy('customer', ${somebody.customer}, 'slow')`;
    });
    await world.breakCard(somebody);
    await world.renew(somebody);
    await world.renew(somebody);
    const { data } = await world.stripe.invoices.list({
      subscription: somebody.subscription,
      status: "open",
    });
    expect(data).toHaveLength(2);
    await world.addSubscription(somebody.customer, 900, "usd", {
      trial_end: Math.floor(world.now.getTime() / 1000) + 3600,
    });
    await world.passTime(new Date(world.now.getTime() + 3 * HOUR));
    await world.deliver();
    expect(failureMails(somebody).at(-1)).toBe("payment-failed-notice");
    const before = failureMails(somebody).length;
    await world.stripe.invoices.pay(String(data.at(-1)?.id), { paid_out_of_band: true });
    await world.arrive();
    await world.run();
    expect(failureMails(somebody)).toHaveLength(before);
    await world.passTime(new Date(world.now.getTime() + 21 * HOUR));
    await world.run();
    expect(failureMails(somebody)).toHaveLength(before + 1);
  });
});

describe("a customer whose mailbox is full", () => {
  it("is written to again a day later, and after three mails that came back is held until there is another address", async () => {
    const somebody = await world.subscribe();
    await world.breakCard(somebody);
    await world.renew(somebody);
    await comesBack(somebody);
    const failedAt = world.now.getTime();
    const mailsBy = async (hours: number) => {
      const before = failureMails(somebody).length;
      await world.passTime(new Date(failedAt + hours * HOUR));
      await world.run();
      const fresh = failureMails(somebody).slice(before);
      if (fresh.length > 0) await comesBack(somebody);
      return fresh;
    };
    expect(await mailsBy(1)).toEqual([]);
    expect(await mailsBy(24)).toEqual(["payment-failed-notice"]);
    expect(await mailsBy(48)).toEqual(["payment-failed-notice"]);
    expect(await mailsBy(72)).toEqual([]);
    expect(await mailsBy(11 * 24)).toEqual([]);
    const [held] = await world.database.sql`
      select status, holds from billing.dunning_cases where customer = ${somebody.customer}`;
    expect(held).toEqual({ status: "open", holds: ["undeliverable_address"] });

    const moved = { ...somebody, email: "moved@example.com" };
    await world.stripe.customers.update(somebody.customer, { email: moved.email });
    await world.passTime(new Date(failedAt + 12 * 24 * HOUR));
    await world.run();
    expect(failureMails(moved)).toEqual(["payment-failed-notice"]);
  });
});

/** Resend reports that the last mail to somebody could not be delivered for now. */
async function comesBack({ email }: Subscriber): Promise<void> {
  const mail = world.inbox.ledger.mailsWhere({ to: email }).at(-1);
  const bounce = { type: "Transient", subType: "MailboxFull", message: "The mailbox is full." };
  const data = { email_id: mail?.id, tags: mail?.tags, bounce };
  const report = { type: "email.bounced", created_at: world.now.toISOString(), data };
  await world.database.asService(
    (sql) =>
      sql`select billing.receive_email_report(${`report of ${mail?.id}`}, ${sql.json(report as never)}, ${world.now})`,
  );
}
