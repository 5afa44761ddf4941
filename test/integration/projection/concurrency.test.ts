import type { JSONValue, Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { renamedFixture } from "../../support/fixtures.ts";
import { deliver, newName, told } from "../../support/orders.ts";
import { price } from "../../support/stripe/catalogue.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { invoicePayment } from "../../support/stripe/invoices.ts";
import { charge, paymentIntent } from "../../support/stripe/payments.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
let connections: [Sql, Sql];
beforeAll(async () => {
  database = await createTestDatabase();
  connections = [database.connect(), database.connect()];
});
afterAll(() => database.drop());

/**
 * Delivers two events so that they overlap in the worst way: the first is projected and not committed while the
 * second is projected as far as it gets without it.
 */
async function overlap(first: StripeEvent, second: StripeEvent, name: string): Promise<void> {
  const [one, other] = connections;
  const [backend] = await other<{ pid: number }[]>`select pg_backend_pid() as pid`;
  let isDone = false;
  let late: Promise<unknown> = Promise.resolve();
  await one.begin(async (transaction) => {
    const early = renamedFixture(first, name) as unknown as JSONValue;
    await transaction`select billing.receive_event(${transaction.json(early)})`;
    late =
      other`select billing.receive_event(${other.json(renamedFixture(second, name) as unknown as JSONValue)})`.finally(
        () => {
          isDone = true;
        },
      );
    await untilWaiting(backend?.pid ?? 0, () => isDone);
  });
  await late;
}

/** Until a backend waits for a lock, or the statement sent to it is done. */
async function untilWaiting(pid: number, isDone: () => boolean): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while (!isDone()) {
    const [waiting] = await database.sql`select from pg_locks where pid = ${pid} and not granted`;
    if (waiting) return;
    if (Date.now() > giveUp) throw new Error(`backend ${pid} neither finished nor waits`);
  }
}

async function expectNoFailure(): Promise<void> {
  expect(await database.sql`select event_id, error from billing.failed_webhooks`).toEqual([]);
}

const ada = customer({ id: "cus_ExampleAda", created: NOW });

describe("two events at the same time", () => {
  it("of one object end in the newer one, whichever is ahead", async () => {
    const old = told("customer.updated", NOW, { ...ada, name: "Old" });
    const current = told("customer.updated", NOW + 1, { ...ada, name: "Current" });
    for (const [first, second] of [
      [old, current],
      [current, old],
    ] as const) {
      const name = newName();
      await overlap(first, second, name);
      const [row] = await database.sql`select name from billing.customers where id = ${`cus_${name}Ada`}`;
      expect(row).toEqual({ name: "Current" });
    }
    await expectNoFailure();
  });

  it("of one object and second are put in order although neither saw the other come", async () => {
    const steps = [ada, { ...ada, name: "First" }, { ...ada, name: "Last" }] as const;
    const [first, last] = [
      told("customer.updated", NOW, steps[1], steps[0]),
      told("customer.updated", NOW, steps[2], steps[1]),
    ];
    for (const [one, other] of [
      [first, last],
      [last, first],
    ] as const) {
      const name = newName();
      await overlap(one, other, name);
      const [row] = await database.sql`select name from billing.customers where id = ${`cus_${name}Ada`}`;
      expect(row).toEqual({ name: "Last" });
    }
    await expectNoFailure();
  });

  it("of one subscription leave the items of the newer one", async () => {
    const item = (id: string) =>
      subscriptionItem({
        id,
        created: NOW,
        subscription: "sub_ExampleTeam",
        price: price({ id: "price_ExampleTeam", created: NOW, product: "prod_ExampleTeam" }),
        current_period_start: NOW,
        current_period_end: NOW + 86_400,
      });
    const team = (...items: string[]) =>
      subscription({ id: "sub_ExampleTeam", created: NOW, customer: ada.id, items: items.map(item) });
    const old = told("customer.subscription.created", NOW, team("si_ExampleSeats", "si_ExampleStorage"));
    const current = told("customer.subscription.updated", NOW + 1, team("si_ExampleSeats"));
    for (const [first, second] of [
      [old, current],
      [current, old],
    ] as const) {
      const name = newName();
      await overlap(first, second, name);
      const items = await database.sql`
        select id from billing.subscription_items where subscription = ${`sub_${name}Team`}
      `;
      expect(items).toEqual([{ id: `si_${name}Seats` }]);
    }
    await expectNoFailure();
  });

  it("that name a customer's user by different sources leave the one that counts", async () => {
    const [buyer, other] = [await database.signUp(), await database.signUp()];
    const checkout = told(
      "checkout.session.completed",
      NOW,
      checkoutSession({
        id: "cs_test_Example",
        created: NOW,
        customer: ada.id,
        metadata: { owner_id: buyer },
      }),
    );
    const team = subscription({ id: "sub_ExampleTeam", created: NOW, customer: ada.id, items: [] });
    const edited = told(
      "customer.subscription.updated",
      NOW + 1,
      { ...team, metadata: { owner_id: other } },
      team,
    );
    for (const [first, second] of [
      [checkout, edited],
      [edited, checkout],
    ] as const) {
      const name = newName();
      await deliver(database, [told("customer.created", NOW - 60, ada)], name);
      await overlap(first, second, name);
      const [row] = await database.sql`select owner_id from billing.customers where id = ${`cus_${name}Ada`}`;
      expect(row).toEqual({ owner_id: buyer });
    }
    await expectNoFailure();
  });

  it("of one payment are one payment that has what each of them knows", async () => {
    const intent = paymentIntent({
      id: "pi_ExampleBill",
      created: NOW,
      amount: 900,
      customer: ada.id,
      status: "succeeded",
      amount_received: 900,
    });
    const tellers = [
      { event: told("payment_intent.succeeded", NOW, intent), knows: { customer: "cus_Ada" } },
      {
        // Without a customer, as of a guest: it waits for nobody's turn but its own.
        event: told(
          "charge.succeeded",
          NOW,
          charge({ id: "ch_ExampleBill", created: NOW, amount: 900, payment_intent: intent.id }),
        ),
        knows: { latest_charge: "ch_Bill" },
      },
      {
        event: told(
          "invoice_payment.paid",
          NOW,
          invoicePayment({
            id: "inpay_ExampleBill",
            created: NOW,
            invoice: "in_ExampleBill",
            amount: 900,
            payment: { type: "payment_intent", payment_intent: intent.id },
          }),
        ),
        knows: { invoice_id: "in_Bill" },
      },
    ];
    for (const first of tellers)
      for (const second of tellers.filter((one) => one !== first)) {
        const name = newName();
        await overlap(first.event, second.event, name);
        const rows = await database.sql`
          select
            replace(customer, ${name}, '') as customer, replace(invoice_id, ${name}, '') as invoice_id,
            replace(latest_charge, ${name}, '') as latest_charge, status, amount_received
          from billing.payments where id = ${`pi_${name}Bill`}
        `;
        expect(rows, `${first.event.type} while ${second.event.type}`).toEqual([
          {
            customer: null,
            invoice_id: null,
            latest_charge: null,
            status: "succeeded",
            amount_received: "900",
            ...first.knows,
            ...second.knows,
          },
        ]);
      }
    await expectNoFailure();
  });
});
