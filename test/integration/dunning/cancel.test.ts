import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  alerts,
  asService,
  CANCELED,
  caseOf,
  days,
  done,
  FINAL,
  lastText,
  mails,
  NOTICE,
  newSubscriber,
  openInvoice,
  overdueSubscriber,
  payAtStripe,
  stepsOf,
  URGENT,
} from "./overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const tenDaysOn = () => days(world, 10);
const subscriptionAt = (id: string) => world.stripe.subscriptions.retrieve(id);
async function shown({ subscription }: Subscriber): Promise<string | undefined> {
  const [row] = await world.database.sql`select status from billing.subscriptions where id = ${subscription}`;
  return row?.status;
}

describe("the end is made at Stripe and in the database", () => {
  it("marked with its case, without any of Stripe's events, and with one email that says what can still be paid", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 9);
    world.arrives = () => false;
    await tenDaysOn();
    expect(await shown(somebody)).toBe("canceled");
    const { id } = (await caseOf(world, somebody.subscription)) ?? {};
    expect((await subscriptionAt(somebody.subscription)).metadata.duebase_dunning_case).toBe(String(id));
    const pending = await world.stripe.invoiceItems.list({ customer: somebody.customer, pending: true });
    expect(pending.data).toEqual([]);
    world.arrives = () => true;
    await world.arriveLate();
    await world.deliver();
    expect(mails(world, somebody).filter((template) => template === CANCELED)).toHaveLength(1);
    expect(await lastText(world, somebody.email)).toContain(
      String((await openInvoice(world, somebody)).hosted_invoice_url),
    );
  });

  it("for the subscription that is overdue, and not for the customer's others", async () => {
    const somebody = await newSubscriber(world);
    const other = await world.stripe.paymentMethods.attach("pm_card_visa", { customer: somebody.customer });
    const paid = await world.addSubscription(somebody.customer, 500, "usd", {
      default_payment_method: other.id,
    });
    await world.arrive();
    await world.breakCard(somebody);
    await world.renew(somebody);
    await tenDaysOn();
    expect(await shown(somebody)).toBe("canceled");
    expect((await subscriptionAt(paid.id)).status).toBe("active");
  });

  it("and voids the open invoices where the policy says so", async () => {
    await asService(
      world,
      `billing.define_dunning_policy('default', '[{"day": 0, "kind": "notice"}, {"day": 1, "kind": "final_warning"}, {"day": 4, "kind": "end"}]', p_void_open_invoices => true)`,
    );
    const somebody = await overdueSubscriber(world);
    const { id } = await openInvoice(world, somebody);
    await days(world, 5);
    expect(await shown(somebody)).toBe("canceled");
    expect(done(world, "invoice.voided", String(id))).toBe(1);
    expect(await lastText(world, somebody.email)).not.toContain("/invoice/");
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "ended" });
  });
});

describe("a customer who pays while the end is being made", () => {
  it.each([
    { when: "after the last evaluation and before it", point: "call_checked", nth: 1 },
    { when: "right after it", point: "call_made", nth: 1 },
    { when: "after Stripe's answer was applied", point: "answer_applied", nth: 1 },
  ])(
    "$when: a person is told, and the customer neither that all is well nor that it is over",
    async ({ point, nth }) => {
      const somebody = await overdueSubscriber(world);
      await days(world, 9);
      let passed = 0;
      world.parts.reach = async (reached) => {
        if (reached === point && ++passed === nth) await payAtStripe(world, somebody);
      };
      await tenDaysOn();
      expect(await alerts(world)).toEqual(["paid_while_ending"]);
      expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
      expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    },
  );

  it("a payment that arrives between the end's last check and Stripe's answer: its recovery mail is withdrawn", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 9);
    let passed = false;
    world.parts.reach = async (point) => {
      if (point !== "call_checked" || passed) return;
      passed = true;
      await payAtStripe(world, somebody);
      await world.arrive();
      expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
    };
    await tenDaysOn();
    expect(await alerts(world)).toEqual(["paid_while_ending"]);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(1);
  });

  it("and gets the recovery mail where the end was canceled", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 9);
    let passed = false;
    world.parts.reach = async (reached) => {
      if (reached !== "end_reviewed" || passed) return;
      passed = true;
      await payAtStripe(world, somebody);
    };
    await tenDaysOn();
    expect(await alerts(world)).toEqual([]);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, "payment-recovered"]);
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(0);
  });
});

describe("there is nothing to end", () => {
  it("where the customer has canceled meanwhile: one mail says so, and that it was asked for", async () => {
    const somebody = await overdueSubscriber(world);
    await days(world, 9);
    world.arrives = () => false;
    await world.stripe.subscriptions.cancel(somebody.subscription);
    await tenDaysOn();
    world.arrives = () => true;
    await world.arriveLate();
    await world.deliver();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
    const told = await lastText(world, somebody.email);
    expect(told).toMatch(/^Your subscription has been canceled\n/);
    expect(told).not.toMatch(/reminded|no payment arrived|was not paid|could not be collected/i);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "subscription_ended" });
  });

  it.each([
    { told: "as the event tells", late: false },
    { told: "as Stripe says when asked", late: true },
  ])("where the customer was deleted, $told", async ({ late }) => {
    const somebody = await overdueSubscriber(world);
    await days(world, 3);
    world.arrives = () => !late;
    await world.stripe.customers.del(somebody.customer);
    await world.arrive();
    await tenDaysOn();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "closed" });
    expect(done(world, "subscription.canceled", somebody.subscription)).toBeLessThanOrEqual(1);
  });

  it("of an invoice without a subscription: the case is closed and the invoice stays payable", async () => {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody);
    const { customer } = somebody;
    const invoice = await world.stripe.invoices.create({ customer });
    await world.stripe.invoiceItems.create({ customer, invoice: invoice.id, amount: 700, currency: "usd" });
    await world.stripe.invoices.finalizeInvoice(String(invoice.id));
    await expect(world.stripe.invoices.pay(String(invoice.id))).rejects.toThrow();
    await world.arrive();
    await world.deliver();
    await tenDaysOn();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    expect(await lastText(world, somebody.email)).not.toMatch(/cancel|access/i);
    expect(await caseOf(world, String(invoice.id))).toMatchObject({ outcome: "ended" });
    expect((await world.stripe.invoices.retrieve(String(invoice.id))).status).toBe("open");
    expect((await subscriptionAt(somebody.subscription)).status).toBe("active");
  });
});

it.each([
  { afterRetries: "cancel" as const, heard: [NOTICE, CANCELED], outcome: "subscription_ended" },
  { afterRetries: "unpaid" as const, heard: [NOTICE, URGENT, FINAL, CANCELED], outcome: "ended" },
])(
  "after Stripe's own retries, which end in $afterRetries: one mail says that it was not paid",
  async ({ heard, outcome, ...settings }) => {
    await world.close();
    world = await DunningWorld.open(undefined, { retryDays: [1, 1], ...settings });
    const somebody = await overdueSubscriber(world);
    await tenDaysOn();
    expect(mails(world, somebody)).toEqual(heard);
    expect(await lastText(world, somebody.email)).toMatch(/paid/);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome });
    expect(done(world, "subscription.canceled", somebody.subscription)).toBe(1);
  },
);

it("an end that Stripe refuses is decided again each day, and one alert says what to do", async () => {
  const somebody = await overdueSubscriber(world);
  const match = { method: "DELETE", path: `/v1/subscriptions/${somebody.subscription}` };
  const action = { kind: "error", status: 400, message: "not this one" } as const;
  world.local.faults.add({ match, action, times: Number.POSITIVE_INFINITY });
  await days(world, 13);
  expect((await alerts(world)).filter((cause) => cause === "end_refused")).toHaveLength(1);
  const ends = (await stepsOf(world, somebody.subscription)).filter((step) => step.startsWith("end"));
  expect(ends.length).toBeGreaterThan(1);
  expect(new Set(ends)).toEqual(new Set(["end canceled"]));
  world.local.faults.clear();
  await days(world, 1);
  expect(await shown(somebody)).toBe("canceled");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "ended" });
});

it("an invoice that is sent is chased from its due date on, though no event reports that day", async () => {
  world.arrives = ({ type }) => type !== "invoice.overdue";
  const somebody = await newSubscriber(world, {
    params: { collection_method: "send_invoice", days_until_due: 5 },
  });
  await world.passTime(new Date(world.now.getTime() + 2 * 3_600_000));
  const heard: Record<number, string[]> = {};
  for (let day = 1; day <= 16; day++) {
    const before = mails(world, somebody).length;
    await world.nextDay();
    const news = mails(world, somebody).slice(before);
    if (news.length > 0) heard[day] = news;
  }
  expect(heard).toEqual({ 5: [NOTICE], 8: [URGENT], 12: [FINAL], 15: [CANCELED] });
  expect(await stepsOf(world, somebody.subscription)).toEqual([
    "notice sent",
    "urgent_reminder sent",
    "final_warning sent",
    "end done",
  ]);
});
