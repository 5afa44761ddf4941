import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { Story } from "../entitlements/story.ts";

// A history run of a live project reads what a customer with an open case has had for years.

let database: TestDatabase;
const story = new Story();
const customer = story.id("cus");
const DAY = 86_400;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql`
    update billing.settings
    set email_from = 'Example <billing@example.com>', live_since = to_timestamp(${story.now - 400 * DAY}),
        adopted_at = to_timestamp(${story.now - 400 * DAY})
    where id`;
});
afterAll(() => database.drop());

const invoice = (number: string, changes: object) => ({
  ...{ id: story.id("in", number), object: "invoice", customer, currency: "usd", total: 900 },
  ...{ billing_reason: "subscription_cycle", collection_method: "charge_automatically", amount_due: 900 },
  parent: { subscription_details: { subscription: story.id("sub") } },
  ...{ status: "open", attempted: true, attempt_count: 1, amount_remaining: 900, amount_paid: 0 },
  ...changes,
});

const read = async (object: object, at: number) => {
  const moment = new Date(at * 1000);
  const [row] = await database.sql`
    select billing_private.apply_history_object(${database.sql.json(object as never)}, ${moment}, ${moment}) as outcome`;
  return row?.outcome;
};
const mails = async () =>
  (
    await database.sql`select payload ->> 'template' as template from billing.outbox where kind = 'email' order by id`
  ).map(({ template }) => template);
const dunned = async () =>
  (await database.sql`select invoice from billing.dunning_case_invoices order by 1`).map(
    ({ invoice }) => invoice,
  );

test("what its case is not about tells nobody and opens nothing, and what it is about closes it", async () => {
  for (const event of [
    story.customer(null),
    story.subscription({ status: "past_due" }),
    story.event("invoice.payment_failed", invoice("1", {})),
  ])
    expect(await database.receive(event, new Date(story.now * 1000))).toBe("processed");
  await database.sql`select billing.advance_dunning(${new Date((story.now + 60) * 1000)})`;
  expect(await dunned()).toEqual([story.id("in", "1")]);
  const before = await mails();
  const now = story.now + 120;

  // Paid two years ago, and given back in vain: nobody told of it then.
  const long = now - 700 * DAY;
  const paid = {
    customer,
    amount: 500,
    currency: "usd",
    status: "succeeded",
    livemode: false,
    created: long,
  };
  const pi = story.id("pi", "9");
  await read({ id: pi, object: "payment_intent", ...paid, amount_received: 500 }, now);
  const refund = {
    id: story.id("re", "9"),
    object: "refund",
    payment_intent: pi,
    charge: story.id("ch", "9"),
  };
  await read(
    { ...refund, amount: 500, currency: "usd", status: "failed", reason: null, created: long },
    now + 1,
  );
  const charge = { id: story.id("ch", "9"), object: "charge", payment_intent: pi, ...paid };
  await read({ ...charge, amount_refunded: 0, captured: true, amount_captured: 500, paid: true }, now + 2);
  expect(await mails()).toEqual(before);

  // An invoice that nobody knew of, overdue since long: the next daily run decides, and not the reading.
  await read(
    invoice("2", { created: now - 40 * DAY, status_transitions: { finalized_at: now - 40 * DAY } }),
    now + 3,
  );
  expect(await dunned()).toEqual([story.id("in", "1")]);
  expect(await database.sql`select invoice from billing_private.known_debts`).toEqual([
    { invoice: story.id("in", "2") },
  ]);
  expect(await mails()).toEqual(before);

  const paidSince = { status: "paid", amount_remaining: 0, amount_paid: 900 };
  expect(await read(invoice("1", paidSince), now + 4)).toBe("applied");
  const [row] = await database.sql`select status from billing.dunning_cases where customer = ${customer}`;
  expect(row?.status).not.toBe("open");
});
