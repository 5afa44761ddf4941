import { afterAll, beforeAll, expect, test } from "vitest";
import { day, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const hour = 3600;

test("a month under a clock: trial, notice, first payment, renewal, failure, retries, and a new card", async () => {
  const { stripe, local, endpoint, advance } = harness;
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  const created = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    trial_period_days: 14,
  });
  expect(created).toMatchObject({ status: "trialing", trial_end: start + 14 * day });
  const trialEnd = start + 14 * day;
  const read = () => stripe.subscriptions.retrieve(created.id);
  const eventsSince = (from: number) =>
    endpoint.received
      .map((it) => it.event)
      .filter((event) => event.created > from && !event.type.startsWith("test_helpers"))
      .map((event) => event.type);

  await advance(clock, start + 12 * day);
  expect(eventsSince(start)).toContain("customer.subscription.trial_will_end");
  const notice = endpoint.received.find((it) => it.event.type === "customer.subscription.trial_will_end");
  expect(notice?.event.created).toBe(trialEnd - 3 * day);

  // The trial ends; an hour later the draft becomes final and is paid.
  await advance(clock, trialEnd + 60);
  expect(await read()).toMatchObject({ status: "active" });
  const draft = (await stripe.invoices.list({ subscription: created.id })).data[0];
  expect(draft).toMatchObject({ status: "draft", billing_reason: "subscription_cycle", number: null });
  await advance(clock, trialEnd + 2 * hour);
  const paid = (await stripe.invoices.list({ subscription: created.id })).data[0];
  expect(paid).toMatchObject({ id: draft?.id, status: "paid", amount_paid: 2000, attempt_count: 1 });
  expect(paid?.status_transitions.paid_at).toBe(trialEnd + hour);
  const item = (await read()).items.data[0];
  expect(item?.current_period_start).toBe(trialEnd);
  expect(item?.current_period_end).toBe(Date.UTC(2026, 1, 28, 9) / 1000);

  // A renewal with a card that no longer pays.
  const failing = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: failing.id } });
  const renewal = item?.current_period_end ?? 0;
  await advance(clock, renewal + 2 * hour);
  expect(await read()).toMatchObject({ status: "past_due" });
  const failed = (await stripe.invoices.list({ subscription: created.id })).data[0];
  expect(failed).toMatchObject({ status: "open", attempted: true, attempt_count: 1, amount_remaining: 2000 });
  expect(failed?.next_payment_attempt).toBe(renewal + hour + day);
  expect((await stripe.customers.retrieve(customer.id)) as { delinquent?: boolean }).toMatchObject({
    delinquent: true,
  });

  await advance(clock, renewal + 4 * day);
  const tried = await stripe.invoices.retrieve(failed?.id ?? "");
  expect(tried.attempt_count).toBe(3);
  expect(local.ledger.count({ kind: "charge.failed", customer: customer.id })).toBe(3);

  const working = await stripe.paymentMethods.attach("pm_card_mastercard", { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: working.id } });
  await advance(clock, renewal + 6 * day);
  expect(await stripe.invoices.retrieve(failed?.id ?? "")).toMatchObject({
    status: "paid",
    attempt_count: 4,
  });
  expect(await read()).toMatchObject({ status: "active" });
  expect(local.ledger.count({ kind: "charge.succeeded", customer: customer.id })).toBe(2);
});

test("things happen in the order of time, and each event bears the clock's time of it", async () => {
  const { stripe, local, advance } = harness;
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const before = local.events.all().length;
  await advance(clock, start + 70 * day);
  const events = local.events
    .all()
    .slice(before)
    .filter((event) => !event.type.startsWith("test_helpers"));
  const times = events.map((event) => event.created);
  expect(times).toEqual([...times].sort((left, right) => left - right));
  expect(events.filter((event) => event.type === "invoice.paid")).toHaveLength(2);
  const second = events.filter((event) => event.type === "invoice.paid")[1];
  const neighbours = events.filter((event) => event.created === second?.created).map((event) => event.type);
  expect(neighbours).toEqual(
    expect.arrayContaining(["invoice.finalized", "charge.succeeded", "invoice_payment.paid", "invoice.paid"]),
  );
  expect(events.every((event) => event.request?.id === null)).toBe(true);
});

test("a subscription begun on the 31st renews on the last day of shorter months and returns to the 31st", async () => {
  const { stripe, advance } = harness;
  const price = await harness.monthlyPrice();
  const begun = Date.UTC(2027, 0, 31, 9) / 1000;
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: begun });
  const customer = await stripe.customers.create({
    test_clock: clock.id,
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await advance(clock, begun + 65 * day);
  const invoices = await stripe.invoices.list({ subscription: id });
  const days = invoices.data.map((invoice) => new Date(invoice.created * 1000).getUTCDate());
  expect(days).toEqual([31, 28, 31]);
});

test("the clock says advancing until it is done, refuses to go back, and is deleted with its customers", async () => {
  const { stripe, local } = harness;
  const { clock, customer } = await harness.customerOnClock();
  const moving = await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: start + day });
  expect(moving).toMatchObject({ status: "advancing", frozen_time: start + day });
  await local.settled();
  expect(await stripe.testHelpers.testClocks.retrieve(clock.id)).toMatchObject({ status: "ready" });
  await expect(stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: start })).rejects.toMatchObject(
    {
      statusCode: 400,
    },
  );
  expect(await stripe.testHelpers.testClocks.del(clock.id)).toMatchObject({ deleted: true });
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ deleted: true });
});

test("when its attempts are used up a subscription is left past due, canceled or unpaid, as the account says", async () => {
  for (const [afterRetries, status] of [
    ["past_due", "past_due"],
    ["cancel", "canceled"],
    ["unpaid", "unpaid"],
  ] as const) {
    const other = await startHarness({ settings: { retryDays: [1, 1], afterRetries } });
    const price = await other.monthlyPrice();
    const { clock, customer } = await other.customerOnClock();
    const subscription = await other.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const failing = await other.stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer: customer.id,
    });
    await other.stripe.subscriptions.update(subscription.id, { default_payment_method: failing.id });
    await other.advance(clock, start + 36 * day);
    expect(await other.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status });
    const invoice = (await other.stripe.invoices.list({ subscription: subscription.id })).data[0];
    expect(invoice).toMatchObject({ status: "open", attempt_count: 3, next_payment_attempt: null });
    await other.close();
  }
});

test("a trial that ends without a card is canceled, paused, or billed, as the subscription says", async () => {
  const { stripe, advance, happened } = harness;
  const price = await harness.monthlyPrice();
  for (const [behaviour, status] of [
    ["cancel", "canceled"],
    ["pause", "paused"],
    ["create_invoice", "past_due"],
  ] as const) {
    const { clock, customer } = await harness.customerOnClock(null);
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      trial_period_days: 7,
      trial_settings: { end_behavior: { missing_payment_method: behaviour } },
    });
    await advance(clock, start + 8 * day);
    expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status });
  }
  expect(happened()).toEqual(
    expect.arrayContaining(["customer.subscription.deleted", "customer.subscription.paused"]),
  );
});

test("a first payment that never comes expires the subscription after 23 hours and voids its invoice", async () => {
  const { stripe, advance } = harness;
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock(null);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    payment_behavior: "default_incomplete",
  });
  expect(subscription.status).toBe("incomplete");
  await advance(clock, start + 22 * hour);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "incomplete" });
  await advance(clock, start + 24 * hour);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "incomplete_expired",
  });
  const invoices = await stripe.invoices.list({ subscription: subscription.id });
  expect(invoices.data[0]).toMatchObject({ status: "void" });
});

test("an invoice that is mailed is due when it says, and the subscription past due after that", async () => {
  const { stripe, advance, endpoint } = harness;
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock(null);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    collection_method: "send_invoice",
    days_until_due: 7,
  });
  expect(subscription.status).toBe("active");
  await advance(clock, start + 2 * hour);
  const invoice = (await stripe.invoices.list({ subscription: subscription.id })).data[0];
  expect(invoice).toMatchObject({ status: "open", next_payment_attempt: null, due_date: start + 7 * day });
  await advance(clock, start + 8 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "past_due" });
  const about = endpoint.received.filter(
    (it) => (it.event.data.object as { id?: string }).id === invoice?.id,
  );
  expect(about.map((it) => it.event.type)).toEqual(
    expect.arrayContaining(["invoice.sent", "invoice.overdue"]),
  );
  await stripe.invoices.pay(invoice?.id ?? "", { paid_out_of_band: true });
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
});
