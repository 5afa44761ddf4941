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
