import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, readsOwed, told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import { card, paymentMethod } from "../../support/stripe/payments.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const visa = paymentMethod({ id: "pm_ExampleVisa", created: NOW, customer: "cus_ExampleAda" });
const renewed = { ...visa, card: card({ exp_month: 1, exp_year: 2035, last4: "1881" }) };
const gone = { ...renewed, customer: null };
const attached = told("payment_method.attached", NOW, visa);
const replaced = told("payment_method.automatically_updated", NOW + 60, renewed, visa);
const detached = told("payment_method.detached", NOW + 120, gone, renewed);

const methodOf = async (name: string) =>
  (
    await database.sql`
      select customer, card_last4, card_exp_month, card_exp_year, extract(epoch from detached_at)::integer as detached_at
      from billing.payment_methods where id = ${`pm_${name}Visa`}
    `
  )[0];
const last = (name: string) => ({
  customer: `cus_${name}Ada`,
  card_last4: "1881",
  card_exp_month: 1,
  card_exp_year: 2035,
});

describe("a card", () => {
  it("has the number and expiry its bank last sent, in any order", async () => {
    for (const name of await deliverInEveryOrder(database, [attached, replaced]))
      expect(await methodOf(name)).toEqual({ ...last(name), detached_at: null });
  });

  it("that was detached stays as it was last, with whose it was and since when it is gone, in any order", async () => {
    for (const name of await deliverInEveryOrder(database, [attached, replaced, detached]))
      expect(await methodOf(name)).toEqual({ ...last(name), detached_at: NOW + 120 });
  });

  it("attached and detached within one second is detached, without a read of Stripe", async () => {
    const within = told("payment_method.detached", NOW, { ...visa, customer: null }, visa);
    for (const name of await deliverInEveryOrder(database, [attached, within])) {
      expect(await methodOf(name)).toMatchObject({ customer: `cus_${name}Ada`, detached_at: NOW });
      expect(await readsOwed(database, `pm_${name}Visa`)).toEqual([]);
    }
  });

  it("read from Stripe when it is detached already learns whose it was, and since when, from late events", async () => {
    const name = "Read000001";
    const read = JSON.parse(JSON.stringify(gone).replaceAll("_Example", `_${name}`));
    await database.asService(
      (sql) => sql`select billing.apply_refresh(${sql.json(read)}, to_timestamp(${NOW + 500}))`,
    );
    expect(await methodOf(name)).toMatchObject({ customer: null, detached_at: NOW + 500 });
    await deliver(database, [detached, attached], name);
    expect(await methodOf(name)).toEqual({ ...last(name), detached_at: NOW + 120 });
  });

  it("is shown to its owner until it is detached, as the default where the customer names it", async () => {
    const userId = await database.signUp();
    const ada = customer({ id: "cus_ExampleAda", created: NOW, metadata: { owner_id: userId } });
    const chosen = {
      ...ada,
      invoice_settings: { ...ada.invoice_settings, default_payment_method: visa.id },
    };
    const name = await deliver(database, [told("customer.created", NOW, chosen), attached]);
    const seen = () =>
      database.asUser(
        userId,
        (sql) => sql`
          select m.id, c.default_payment_method = m.id as is_default
          from billing.payment_methods as m join billing.customers as c on c.id = m.customer
        `,
      );
    expect(await seen()).toEqual([{ id: `pm_${name}Visa`, is_default: true }]);
    await deliver(database, [detached], name);
    expect(await seen()).toEqual([]);
  });

  it("keeps no name, no address and no number of its holder", async () => {
    const name = await deliver(database, [attached]);
    const [row] = await database.sql`
      select m::text || coalesce((select string_agg(a::text, '') from billing.audit_events as a where a.subject_id = m.id), '') as told
      from billing.payment_methods as m where id = ${`pm_${name}Visa`}
    `;
    expect(row?.told).not.toMatch(/ada@example\.com|Ada Example|exampleFingerprint/);
  });
});
