import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { payByRecord } from "../../../scripts/local/stripe/buyer.ts";
import { DunningWorld } from "../../support/dunning-world.ts";
import {
  caseOf,
  days,
  done,
  FINAL,
  hours,
  lastText,
  mails,
  NOTICE,
  newSubscriber,
  nobodyRuns,
  openInvoice,
  overdueSubscriber,
  pay,
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

describe("a customer who has paid gets no further mail", () => {
  it.each([
    { after: "the notice", on: 1, heard: [NOTICE] },
    { after: "the urgent reminder", on: 4, heard: [NOTICE, URGENT] },
    { after: "the final warning", on: 9, heard: [NOTICE, URGENT, FINAL] },
  ])("after $after, but that all is well", async ({ on, heard }) => {
    const somebody = await overdueSubscriber(world);
    await days(world, on);
    expect(mails(world, somebody)).toEqual(heard);
    await pay(world, somebody);
    await days(world, 12 - on);
    expect(mails(world, somebody)).toEqual([...heard, RECOVERED]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({
      status: "closed",
      outcome: "recovered",
      amount_due: 2000,
      amount_recovered: 2000,
    });
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
  });

  it("in the last hour before the end", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 9);
    await nobodyRuns(world, 1);
    await payAtStripe(world, somebody);
    await world.arrive();
    await world.run();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, RECOVERED]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
  });

  it("and whose next renewal fails begins anew, from the notice", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 8);
    await pay(world, somebody);
    await world.breakCard(somebody);
    await world.renew(somebody);
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, RECOVERED, NOTICE, URGENT]);
  });
});

describe("a payment outside Stripe counts as paid", () => {
  it.each([
    {
      how: "as the operator marks at Stripe",
      note: (invoice: string) => world.stripe.invoices.pay(invoice, { paid_out_of_band: true }),
    },
    {
      how: "by a payment record",
      note: (invoice: string) => payByRecord(world.stripe, invoice),
    },
  ])("$how: thanked once, told what it was paid with, and counted", async ({ note }) => {
    const somebody = await overdueSubscriber(world);
    await days(world, 4);
    await note(String((await openInvoice(world, somebody)).id));
    await hours(world, 1);
    await days(world, 1);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({
      outcome: "recovered",
      amount_recovered: 2000,
    });
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, RECOVERED]);
    const text = await lastText(world, somebody.email, RECOVERED);
    expect(text).toContain("Payment method: Bank transfer");
    expect(text).toContain("Amount paid: $20.00");
    expect(text).not.toContain("4242");
    // Its first invoice was paid by card.
    const [revenue] = await world.database
      .sql`select sum(gross)::int as gross, sum(payments)::int as payments from billing.revenue`;
    expect(revenue).toEqual({ gross: 4000, payments: 2 });
  });
});

describe("the recovery mail is sent only after a failure mail", () => {
  it("not where it was paid before the notice left", async () => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    const { deliver } = world;
    world.deliver = async () => {};
    await world.renew(somebody);
    world.deliver = deliver;
    await payAtStripe(world, somebody);
    await world.arrive();
    await world.deliver();
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
  });

  it("not where the notice waited in the outbox: it is taken back", async () => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    // Evaluated and enqueued, but no mail leaves.
    world.inbox.faults.add({ times: 1, action: { kind: "error", status: 503 } });
    await world.renew(somebody);
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice planned"]);
    await payAtStripe(world, somebody);
    await world.arrive();
    await days(world, 2);
    expect(mails(world, somebody)).toEqual([]);
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice canceled"]);
  });

  it("and is sent after a failure mail that was being sent", async () => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    let begun = 0;
    world.parts.reach = async (point) => {
      if (point !== "email_begun" || ++begun > 1) return;
      await payAtStripe(world, somebody);
      await world.arrive();
    };
    await world.renew(somebody);
    await hours(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, RECOVERED]);
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice sent"]);
  });

  it.each([
    {
      left: "had left after all, as Resend reports",
      action: "reset-after-effect" as const,
      heard: [NOTICE, RECOVERED],
    },
    { left: "had not", action: "reset" as const, heard: [] },
  ])("and after one whose outcome was unknown, if it $left", async ({ action, heard }) => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    world.inbox.faults.add({ times: 1, action: { kind: action } });
    const { report } = world;
    world.report = async () => {};
    await world.renew(somebody);
    await payAtStripe(world, somebody);
    await world.arrive();
    await world.deliver();
    expect(mails(world, somebody)).not.toContain(RECOVERED);
    world.report = report;
    await world.report();
    await hours(world, 1);
    await days(world, 1);
    expect(mails(world, somebody)).toEqual(heard);
  });
});
