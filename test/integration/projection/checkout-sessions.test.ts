import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import { checkoutSession } from "../../support/stripe/customers.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const session = checkoutSession({
  id: "cs_test_ExampleOnce",
  created: NOW,
  mode: "payment",
  customer: "cus_ExampleAda",
  payment_intent: "pi_ExampleOnce",
  amount_subtotal: 4900,
  amount_total: 4900,
  payment_status: "unpaid",
});

const sessionOf = async (name: string) =>
  (
    await database.sql`
      select status, payment_status, amount_total::integer, payment_intent, is_abandoned, recovery_url,
        extract(epoch from completed_at)::integer as completed_at, extract(epoch from expired_at)::integer as expired_at
      from billing.checkout_sessions where id = ${`cs_test_${name}Once`}
    `
  )[0];

describe("a checkout", () => {
  it.each([
    ["succeeds", "async_payment_succeeded", "paid"],
    ["fails", "async_payment_failed", "unpaid"],
  ])(
    "whose debit %s later shows that, and when it was completed, in any order",
    async (_how, type, status) => {
      const completed = told("checkout.session.completed", NOW + 60, session);
      const finished = told(`checkout.session.${type}`, NOW + 86_400, { ...session, payment_status: status });
      for (const name of await deliverInEveryOrder(database, [completed, finished]))
        expect(await sessionOf(name)).toEqual({
          status: "complete",
          payment_status: status,
          amount_total: 4900,
          payment_intent: `pi_${name}Once`,
          is_abandoned: false,
          recovery_url: null,
          completed_at: NOW + 60,
          expired_at: null,
        });
    },
  );

  it("that expired was abandoned, and can be taken up again where Stripe says how", async () => {
    const url = "https://checkout.example.com/recover/cs_test_ExampleOnce";
    const left = {
      ...session,
      status: "expired",
      payment_intent: null,
      after_expiration: {
        recovery: { allow_promotion_codes: false, enabled: true, expires_at: NOW + 99, url },
      },
    };
    const name = await deliver(database, [told("checkout.session.expired", NOW + 86_400, left)]);
    expect(await sessionOf(name)).toMatchObject({
      status: "expired",
      is_abandoned: true,
      recovery_url: url.replace("_Example", `_${name}`),
      completed_at: null,
      expired_at: NOW + 86_400,
    });
  });
});
