import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const DAY = 86_400_000;
const FAILED = Date.parse("2026-06-01T10:00:00Z");
const on = (day: number) => new Date(FAILED + day * DAY);
/** Ends are at noon. */
const noonOf = (day: number) => on(day + 2 / 24);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

let people = 0;
let events = 0;

async function tell(type: string, object: object, at = on(0)): Promise<void> {
  const outcome = await database.receive(
    {
      id: `evt_status_${++events}`,
      object: "event",
      type,
      created: Math.floor(at.getTime() / 1000),
      livemode: false,
      data: { object },
    },
    at,
  );
  if (outcome !== "processed") throw new Error(`${type}: ${outcome}`);
}

/** A user with a subscription to Pro; whatever is said of an invoice afterwards is of theirs. */
async function subscriber() {
  const name = `person${++people}`;
  const userId = await database.signUp();
  const customer = `cus_${name}`;
  const subscription = (change: object = {}, type = "updated", at = on(-30)) =>
    tell(
      `customer.subscription.${type}`,
      {
        id: `sub_${name}`,
        object: "subscription",
        customer,
        status: "active",
        created: 1_780_000_000,
        items: { data: [{ id: `si_${name}`, price: { id: "price_pro", product: "prod_pro" }, quantity: 1 }] },
        ...change,
      },
      at,
    );
  await tell(
    "customer.created",
    { id: customer, object: "customer", email: `${name}@example.com`, metadata: { owner_id: userId } },
    on(-30),
  );
  await subscription({}, "created");
  const invoice = (type: string, change: object = {}, at = on(0)) =>
    tell(
      `invoice.${type}`,
      {
        id: `in_${name}`,
        object: "invoice",
        customer,
        parent: { type: "subscription_details", subscription_details: { subscription: `sub_${name}` } },
        billing_reason: "subscription_cycle",
        collection_method: "charge_automatically",
        status: "open",
        number: `EX-${people}`,
        currency: "usd",
        amount_due: 2000,
        amount_remaining: 2000,
        attempt_count: 1,
        hosted_invoice_url: `https://invoice.stripe.com/i/${name}`,
        created: Math.floor(at.getTime() / 1000),
        status_transitions: { finalized_at: Math.floor(at.getTime() / 1000) },
        ...change,
      },
      at,
    );
  return { name, userId, customer, subscription, invoice };
}
type Subscriber = Awaited<ReturnType<typeof subscriber>>;

const statusOf = ({ userId }: Pick<Subscriber, "userId">, at: Date) =>
  database.asUser(userId, (sql) => sql`select * from billing.my_billing_status(${at})`);

/** Has the case's steps up to that one sent at their days. */
async function sent({ name }: Subscriber, ...kinds: [kind: string, day: number][]): Promise<void> {
  for (const [index, [kind, day]] of kinds.entries()) {
    await database.sql`
      insert into billing.dunning_actions
        (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, ends_at)
      select
        c.id, ${index + 1}, ${kind}, ${`in_${name}`}, ${[`in_${name}`]}, 'sent', ${on(day)}, ${on(day)}, ${on(day)},
        ${noonOf(day + 3)}
      from billing.dunning_cases as c where c.subject_id = ${`sub_${name}`}`;
  }
}

beforeAll(() => tell("product.created", { id: "prod_pro", object: "product", name: "Pro", active: true }));

describe("billing.my_billing_status", () => {
  let ada: Subscriber;
  beforeEach(async () => {
    ada = await subscriber();
  });

  test("has no row for a user who owes nothing, and none for a user who is no customer", async () => {
    expect(await statusOf(ada, on(0))).toEqual([]);
    expect(await statusOf({ userId: await database.signUp() }, on(0))).toEqual([]);
  });

  test("says what is due, since when, where to pay, and what happens when", async () => {
    await ada.subscription({ status: "past_due" }, "updated", on(0));
    await ada.invoice("payment_failed", { next_payment_attempt: on(3).getTime() / 1000 });
    expect(await statusOf(ada, on(1))).toEqual([
      {
        owner_id: ada.userId,
        can_manage: true,
        subscription: `sub_${ada.name}`,
        product_name: "Pro",
        amount_due: "2000",
        currency: "usd",
        overdue_since: on(0),
        invoice: `in_${ada.name}`,
        invoice_number: `EX-${people}`,
        hosted_invoice_url: `https://invoice.stripe.com/i/${ada.name}`,
        invoice_count: 1,
        needs_confirmation: false,
        next_payment_attempt: on(3),
        has_access: true,
        end_action: "cancel",
        ends_at: noonOf(10),
        last_day_to_pay: new Date("2026-06-10"),
        reason: "overdue",
        seats: null,
        seats_paid: null,
      },
    ]);
    // An attempt that has passed is none that comes.
    expect(await statusOf(ada, on(4))).toMatchObject([{ next_payment_attempt: null }]);
  });

  test("is empty again as soon as it is paid, and was not before it failed", async () => {
    await ada.invoice("finalized", { attempt_count: 0 });
    expect(await statusOf(ada, on(0))).toEqual([]);
    await ada.invoice("payment_failed", {}, on(1));
    expect(await statusOf(ada, on(1))).toHaveLength(1);
    await ada.invoice("paid", { status: "paid", amount_remaining: 0, amount_paid: 2000 }, on(2));
    expect(await statusOf(ada, on(2))).toEqual([]);
  });

  test("never promises an end less than three days after the final warning", async () => {
    await ada.invoice("payment_failed");
    await sent(ada, ["notice", 0], ["urgent_reminder", 3], ["final_warning", 9]);
    expect(await statusOf(ada, on(9))).toMatchObject([{ end_action: "cancel", ends_at: noonOf(12) }]);
    const late = await subscriber();
    await late.invoice("payment_failed");
    // Nothing ran for 20 days: what comes first is the notice, and 20 hours later at the earliest the warning.
    expect(await statusOf(late, on(20))).toMatchObject([{ ends_at: noonOf(24) }]);
    await sent(late, ["notice", 20]);
    expect(await statusOf(late, on(20))).toMatchObject([{ ends_at: noonOf(24) }]);
    expect(await statusOf(late, on(22))).toMatchObject([{ ends_at: noonOf(25) }]);
  });

  test("promises no end where nothing ends: held, leaving before, or by policy", async () => {
    const none = { end_action: null, ends_at: null, last_day_to_pay: null, amount_due: "2000" };
    await ada.invoice("payment_failed");
    await database.sql`
      insert into billing.dunning_holds (customer, reason, held_at) values (${ada.customer}, 'a friend', ${on(0)})`;
    expect(await statusOf(ada, on(1))).toMatchObject([none]);

    const leaver = await subscriber();
    const canceledFor = (day: number) => ({
      cancel_at: on(day).getTime() / 1000,
      canceled_at: on(-1).getTime() / 1000,
    });
    await leaver.subscription({ ...canceledFor(10), cancel_at_period_end: true }, "updated", on(-1));
    await leaver.invoice("payment_failed");
    expect(await statusOf(leaver, on(1))).toMatchObject([none]);

    const later = await subscriber();
    await later.subscription(canceledFor(11), "updated", on(-1));
    await later.invoice("payment_failed");
    expect(await statusOf(later, on(1))).toMatchObject([{ end_action: "cancel", ends_at: noonOf(10) }]);

    const spared = await subscriber();
    await database.asService(
      (sql) => sql`select billing.define_dunning_policy('gentle', '[{"day": 0, "kind": "notice"}]', 'leave')`,
    );
    await database.asService(
      (sql) => sql`select billing.assign_dunning_policy('customer', ${spared.customer}, 'gentle')`,
    );
    await spared.invoice("payment_failed");
    expect(await statusOf(spared, on(1))).toMatchObject([none]);
  });

  test("says that the bank waits for the customer", async () => {
    await ada.invoice("payment_failed", { payments: { data: [] } });
    const intent = {
      id: `pi_${ada.name}`,
      object: "payment_intent",
      customer: ada.customer,
      amount: 2000,
      currency: "usd",
      status: "requires_action",
      invoice: `in_${ada.name}`,
    };
    await tell("payment_intent.requires_action", intent);
    expect(await statusOf(ada, on(0))).toMatchObject([{ needs_confirmation: true }]);
  });

  test("shows an invoice that is sent from its due date on, though it is no subscription's", async () => {
    await ada.invoice("finalized", {
      parent: null,
      billing_reason: "manual",
      collection_method: "send_invoice",
      attempt_count: 0,
      due_date: on(5).getTime() / 1000,
    });
    expect(await statusOf(ada, on(4))).toEqual([]);
    expect(await statusOf(ada, on(6))).toMatchObject([
      { subscription: null, product_name: null, overdue_since: on(5), has_access: true, end_action: null },
    ]);
  });

  test("shows no user what another owes", async () => {
    await ada.invoice("payment_failed");
    const bob = await subscriber();
    expect(await statusOf(bob, on(1))).toEqual([]);
    await expect(
      database.asAnon((sql) => sql`select * from billing.my_billing_status()`),
    ).rejects.toMatchObject({ code: "42501" });
    await expect(
      database.asService((sql) => sql`select * from billing.my_billing_status()`),
    ).rejects.toMatchObject({ code: "42501" });
  });

  test("goes with the customer to another user", async () => {
    await ada.invoice("payment_failed");
    const heir = await database.signUp();
    await tell(
      "checkout.session.completed",
      {
        id: `cs_${ada.name}`,
        object: "checkout.session",
        status: "complete",
        customer: ada.customer,
        metadata: { owner_id: heir },
      },
      on(1),
    );
    expect(await statusOf(ada, on(1))).toEqual([]);
    expect(await statusOf({ userId: heir }, on(1))).toHaveLength(1);
  });
});
