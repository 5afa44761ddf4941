import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  CANCELED,
  caseOf,
  days,
  done,
  FINAL,
  mails,
  NOTICE,
  newSubscriber,
  openInvoice,
  payAtStripe,
  RECOVERED,
  stepsOf,
  URGENT,
} from "./overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

/** People whose renewals failed in the same hour, and who have had the notice. */
async function overdueTogether(count: number): Promise<Subscriber[]> {
  const people = [];
  for (let person = 0; person < count; person++) people.push(await newSubscriber(world));
  for (const person of people) await world.breakCard(person);
  await world.renew(people[0] as Subscriber);
  return people;
}

/** Nothing of Stripe's arrives any more until it is let in. */
const webhooksAreLate = () => {
  world.arrives = () => false;
};

/** A run that finds all webhooks missing, some hours after the others were. */
async function runOnDay(day: number): Promise<Record<string, number>> {
  world.now = new Date(world.now.getTime() + day * DAY);
  return world.run();
}

describe("before every step Stripe is asked, as its webhooks may be late", () => {
  it("so no customer is chased for what was paid, voided, written off, or is being paid", async () => {
    const [paid, voided, givenUp, paying, owing] = (await overdueTogether(5)) as [
      Subscriber,
      Subscriber,
      Subscriber,
      Subscriber,
      Subscriber,
    ];
    webhooksAreLate();
    await payAtStripe(world, paid);
    await world.stripe.invoices.voidInvoice(String((await openInvoice(world, voided)).id));
    await world.stripe.invoices.markUncollectible(String((await openInvoice(world, givenUp)).id));
    world.now = new Date(world.now.getTime() + 3 * DAY);
    const debit = await world.stripe.paymentMethods.create({
      type: "sepa_debit",
      sepa_debit: { iban: "AT611904300234573201" },
      billing_details: { name: "Person", email: "person@example.com" },
    });
    await world.stripe.paymentMethods.attach(debit.id, { customer: paying.customer });
    const { id } = await openInvoice(world, paying);
    await world.stripe.invoices.pay(String(id), { payment_method: debit.id });

    await world.run();
    expect(mails(world, paid)).toEqual([NOTICE, RECOVERED]);
    for (const silent of [voided, givenUp, paying]) expect(mails(world, silent)).toEqual([NOTICE]);
    expect(mails(world, owing)).toEqual([NOTICE, URGENT]);
    expect(await caseOf(world, paid.subscription)).toMatchObject({ outcome: "recovered" });
    expect(await caseOf(world, voided.subscription)).toMatchObject({ outcome: "voided" });
    expect(await caseOf(world, givenUp.subscription)).toMatchObject({ outcome: "uncollectible" });
    expect(await caseOf(world, paying.subscription)).toMatchObject({
      status: "open",
      holds: ["payment_processing"],
    });

    // And when the webhooks do come, they change nothing but the one whose debit went through.
    world.arrives = () => true;
    await world.passTime(new Date(world.now.getTime() + DAY));
    await world.arriveLate();
    await world.deliver();
    expect(mails(world, paid)).toEqual([NOTICE, RECOVERED]);
    expect(mails(world, voided)).toEqual([NOTICE]);
    expect(await caseOf(world, paying.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("so no subscription is canceled that was paid", async () => {
    const [paid, owing] = (await overdueTogether(2)) as [Subscriber, Subscriber];
    await days(world, 9);
    webhooksAreLate();
    await payAtStripe(world, paid);
    await runOnDay(1);
    expect(mails(world, paid)).toEqual([NOTICE, URGENT, FINAL, RECOVERED]);
    expect(mails(world, owing)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
    expect(done(world, "subscription.canceled", paid.subscription)).toBe(0);
    expect(done(world, "subscription.canceled", owing.subscription)).toBe(1);
  });
});

describe("where Stripe does not answer, nothing is sent or canceled on a guess", () => {
  const isDown = { action: { kind: "error", status: 503 } as const, times: 10_000 };
  const isAnothers = {
    match: { path: /^\/v1\/customers\// },
    action: { kind: "error", status: 404, code: "resource_missing" } as const,
    times: 10_000,
  };
  const problemOfLastRun = async () => {
    const [run] = await world.database.sql`select problem from billing.dunning_runs order by id desc limit 1`;
    return run?.problem;
  };

  it.each([
    { what: "is away", fault: isDown },
    { what: "does not know the customer, as with another account's key", fault: isAnothers },
  ])("when it $what: the run says so, and the next one catches up", async ({ fault }) => {
    const [somebody] = (await overdueTogether(1)) as [Subscriber];
    world.local.faults.add(fault);
    expect(await runOnDay(3)).toMatchObject({ failed: 1, mails: 0 });
    expect(await problemOfLastRun()).toMatch(/^1 could not be evaluated/);
    expect(mails(world, somebody)).toEqual([NOTICE]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });

    world.local.faults.clear();
    expect(await runOnDay(1)).toMatchObject({ failed: 0, mails: 1 });
    expect(await problemOfLastRun()).toBeNull();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);

    await days(world, 5);
    world.local.faults.add(fault);
    await runOnDay(1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
    expect(await stepsOf(world, somebody.subscription)).not.toContain("end done");

    world.local.faults.clear();
    await runOnDay(1);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });

  it("when it goes away in the middle of the end: it is carried out once, when it is back", async () => {
    const [somebody] = (await overdueTogether(1)) as [Subscriber];
    await days(world, 9);
    world.local.faults.add({ match: { method: "DELETE" }, action: { kind: "reset-after-effect" }, times: 1 });
    await runOnDay(1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await days(world, 1);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(1);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
    expect(await stepsOf(world, somebody.subscription)).toContain("end done");
  });
});
