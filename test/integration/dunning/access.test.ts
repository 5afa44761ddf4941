import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql`
    select billing.define_dunning_policy('strict', '[{"day": 0, "kind": "notice"}]', 'leave', p_keeps_access => false)`;
});
afterAll(() => database.drop());

/** What dunning says of the access of a subscription of this status whose case is open. */
async function access(status: string, policy: string): Promise<boolean | null> {
  const id = `sub_${status}_${policy}`;
  await database.sql`
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end) values (${id}, 'cus_1', ${status}, false)`;
  await database.sql`
    insert into billing.dunning_cases
      (subject_id, customer, subscription, currency, policy_id, status, anchor_at, ladder_from, amount_due, opened_at)
    select ${id}, 'cus_1', ${id}, 'usd', p.id, 'open', now(), now(), 900, now()
    from billing.dunning_policies as p where p.name = ${policy}`;
  const [row] = await database.sql<{ access: boolean | null }[]>`
    select billing_private.dunning_access(${id}) as access`;
  return row?.access ?? null;
}

describe("while a case is open", () => {
  it.each(["active", "trialing", "past_due", "unpaid"])(
    "access of a subscription %s is kept",
    async (status) => {
      expect(await access(status, "default")).toBe(true);
    },
  );

  it.each(["active", "past_due"])(
    "access of a subscription %s goes at once without grace",
    async (status) => {
      expect(await access(status, "strict")).toBe(false);
    },
  );

  it.each(["incomplete", "incomplete_expired", "paused", "canceled"])(
    "a subscription %s has none to keep",
    async (status) => {
      expect(await access(status, "default")).toBeNull();
    },
  );
});
