import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// What the operator was alerted of stays red until it is put right, and no longer: each way that the row's cure names counts.

const NOW = new Date("2027-01-15T12:00:00Z");
const DAY = 24 * 3_600_000;
const days = (count: number) => new Date(NOW.getTime() + count * DAY);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const alert = (cause: string, payload: object) =>
  database.sql`
    insert into billing.outbox (kind, dedupe_key, payload, status, run_after, created_at, finished_at)
    values ('alert', ${randomUUID()}, ${database.sql.json({ cause, ...payload })}, 'delivered', ${NOW}, ${NOW}, ${NOW})`;

async function subscription(values: {
  id: string;
  customer: string;
  status?: string;
  created?: Date;
  cancel_at?: Date;
}): Promise<void> {
  const { id, customer, status = "active", created = days(-20), cancel_at = null } = values;
  await database.sql`
    insert into billing.subscriptions
      (id, customer, status, cancel_at_period_end, cancel_at, current_period_end, livemode, created, ended_at)
    values (${id}, ${customer}, ${status}, false, ${cancel_at}, ${days(10)}, false, ${created},
      ${status === "canceled" ? days(-2) : null})`;
}

async function countOf(name: string): Promise<number> {
  const [row] = await database.asService(
    (sql) => sql<{ value: string }[]>`select value from billing.check_health(${NOW}) where name = ${name}`,
  );
  return Number(row?.value);
}

test("a deleted owner's subscription that flexible billing ends with its period charges nobody any more", async () => {
  await database.sql`insert into billing.customers (id, livemode, created) values ('cus_gone', false, ${NOW})`;
  for (const id of ["sub_leaves", "sub_stays"]) {
    await subscription({
      id,
      customer: "cus_gone",
      // As the portal sets it; and a fixed term, which is charged until then.
      cancel_at: id === "sub_leaves" ? days(10) : days(40),
    });
    await alert("owner_deleted_with_subscription", { subscription: id, customer: "cus_gone" });
  }
  expect(await countOf("deleted-owners")).toBe(1);
  await database.sql`update billing.subscriptions set cancel_at = current_period_end where id = 'sub_stays'`;
  expect(await countOf("deleted-owners")).toBe(0);
});

test("a payment after the end is mended by a new subscription, as the ended one never runs again, and by all the money back", async () => {
  const paidAt = days(-1);
  const pay = async (name: string) => {
    await subscription({ id: `sub_${name}`, customer: `cus_${name}`, status: "canceled" });
    await database.sql`
      insert into billing.payments (id, customer, invoice_id, amount, amount_received, amount_refunded, currency, status, metadata, created)
      values (${`pi_${name}`}, ${`cus_${name}`}, ${`in_${name}`}, 900, 900, 0, 'eur', 'succeeded', '{}', ${paidAt})`;
    await alert("paid_after_end", {
      subscription: `sub_${name}`,
      invoice: `in_${name}`,
      customer: `cus_${name}`,
      paid_at: paidAt,
    });
  };
  for (const name of ["again", "refunded"]) await pay(name);
  // What ran besides when the payment came, and what was never paid for, are no new start.
  await subscription({ id: "sub_besides", customer: "cus_again", created: days(-5) });
  await subscription({ id: "sub_never", customer: "cus_again", status: "incomplete", created: NOW });
  expect(await countOf("paid-after-end")).toBe(2);

  await database.sql`update billing.payments set amount_refunded = 900 where id = 'pi_refunded'`;
  expect(await countOf("paid-after-end")).toBe(1);
  await database.sql`update billing.subscriptions set status = 'active' where id = 'sub_never'`;
  expect(await countOf("paid-after-end")).toBe(0);
  // It was served. How long it stays is another matter.
  await database.sql`update billing.subscriptions set status = 'canceled', ended_at = ${NOW} where id = 'sub_never'`;
  expect(await countOf("paid-after-end")).toBe(0);
});
