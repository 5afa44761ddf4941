import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { breakHandler, customerEvent, failureOf, installHandler, mendHandler } from "../retries/handlers.ts";

// Payloads go by age; the ledger stays, and so does what is still needed.

const received = new Date("2031-01-10T12:00:00Z");
const monthOver = "2031-02-01T00:00:00Z";
const longAfter = "2031-05-01T00:00:00Z";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
  await database.sql`select billing_private.make_payload_partitions(${received})`;
});
afterEach(() => database.drop());

/** Drops all that may be dropped; returns how many payloads went. */
async function drop(before = monthOver, now = longAfter): Promise<number> {
  let total = 0;
  for (;;) {
    const [row] = await database.sql<{ dropped: string | null }[]>`
      select billing_private.drop_payloads(${before}::timestamptz, ${now}::timestamptz) as dropped`;
    if (row?.dropped == null) return total;
    total += Number(row.dropped);
  }
}

/** Events whose payload is there. */
async function told(): Promise<string[]> {
  const rows = await database.sql<{ id: string }[]>`
    select id from billing.stripe_events where payload ->> 'id' = id order by id`;
  return rows.map(({ id }) => id);
}

function event(id: string, type: string, object: Record<string, unknown>, livemode = false) {
  return { id, object: "event", type, created: 1_790_000_000, livemode, data: { object } };
}

const subscription = (id: string, status: string) => ({
  id,
  object: "subscription",
  customer: "cus_1",
  status,
  items: { object: "list", data: [] },
});
const invoice = (id: string, status: string) => ({
  id,
  object: "invoice",
  customer: "cus_1",
  status,
  currency: "eur",
});

test("a month that is over loses its payloads, the ledger knows the events, and a row says how many went", async () => {
  for (const name of ["one", "two"])
    await database.receive(
      event(`evt_${name}`, "product.created", { id: `prod_${name}`, object: "product" }),
      received,
    );
  await database.receive(
    event("evt_next", "product.created", { id: "prod_next", object: "product" }),
    new Date("2031-02-01T00:00:00Z"),
  );
  expect(await drop("2031-01-31T23:59:59Z")).toBe(0);
  expect(await drop()).toBe(2);
  expect(await told()).toEqual(["evt_next"]);
  expect(await database.sql`select id, payload from billing.stripe_events order by id`).toEqual([
    { id: "evt_next", payload: expect.objectContaining({ id: "evt_next" }) },
    { id: "evt_one", payload: null },
    { id: "evt_two", payload: null },
  ]);
  const again = event("evt_one", "product.created", { id: "prod_one", object: "product" });
  expect(await database.receive(again, new Date(longAfter))).toBe("duplicate");
  expect(
    await database.sql`
    select action, actor, subject_id, detail ->> 'dropped' as dropped, detail ->> 'kept' as kept,
      (detail ->> 'before')::timestamptz as before, occurred_at
    from billing.audit_events where action = 'payloads.dropped' and detail ->> 'dropped' > '0'`,
  ).toEqual([
    {
      action: "payloads.dropped",
      actor: "system",
      subject_id: "billing_private.webhook_payloads_2031_01",
      dropped: "2",
      kept: "0",
      before: new Date(monthOver),
      occurred_at: new Date(longAfter),
    },
  ]);
});

test("what is younger than 35 days is not dropped", async () => {
  await expect(drop("2031-02-01T00:00:00Z", "2031-03-07T23:59:59Z")).rejects.toMatchObject({
    code: "DU034",
    hint: expect.stringContaining("35 days"),
  });
});

test("failures keep their payload until they are resolved, and are projected from it", async () => {
  await installHandler(database);
  for (const name of ["retrying", "dead", "resolved"]) {
    await breakHandler(database, { customer: `cus_${name}`, sqlstate: "AP001" });
    await database.receive(customerEvent(name), received);
  }
  await database.receive(customerEvent("other_mode", { livemode: true }), received);
  await database.receive(customerEvent("healthy"), received);
  await database.sql`update billing.failed_webhooks set status = 'dead', next_attempt_at = null where event_id = 'evt_dead'`;
  await mendHandler(database);
  expect(await replay("evt_resolved")).toBe("processed");
  // In test mode the newest event of a customer is kept for the test clock that it may name.
  await database.sql`update billing.customers set livemode = true`;

  expect(await drop()).toBe(2);
  expect(await told()).toEqual(["evt_dead", "evt_other_mode", "evt_retrying"]);
  expect(await replay("evt_dead")).toBe("processed");
  await database.sql`update billing.failed_webhooks set next_attempt_at = ${received} where status = 'retrying'`;
  const [tried] = await database.sql`select billing.retry_failed_webhook(${longAfter}::timestamptz) as tried`;
  expect(tried).toEqual({ tried: true });
  expect(await failureOf(database, "evt_retrying")).toMatchObject({ status: "resolved" });

  await database.sql`update billing.customers set livemode = true`;
  expect(await drop()).toBe(2);
  expect(await told()).toEqual(["evt_other_mode"]);
});

test("the newest event of what goes on is kept, and goes when that is over", async () => {
  for (const [id, status] of Object.entries({ running: "active", over: "canceled" }))
    await database.receive(
      event(`evt_${id}`, "customer.subscription.updated", subscription(`sub_${id}`, status)),
      received,
    );
  for (const status of ["draft", "open", "uncollectible", "paid", "void"])
    await database.receive(
      event(`evt_${status}`, "invoice.updated", invoice(`in_${status}`, status)),
      received,
    );
  await database.receive(
    {
      ...event("evt_older", "customer.subscription.updated", subscription("sub_running", "active")),
      created: 1_789_999_999,
    },
    received,
  );
  expect(await drop()).toBe(4);
  expect(await told()).toEqual(["evt_draft", "evt_open", "evt_running", "evt_uncollectible"]);

  const later = {
    ...event("evt_end", "customer.subscription.deleted", subscription("sub_running", "canceled")),
    created: 1_790_000_100,
  };
  await database.receive(later, new Date("2031-03-01T00:00:00Z"));
  expect(await drop()).toBe(1);
  expect(await told()).toEqual(["evt_draft", "evt_end", "evt_open", "evt_uncollectible"]);
});

test("in test mode it is still known which customers live under a test clock", async () => {
  await database.receive(
    event("evt_clock", "customer.created", { id: "cus_clock", object: "customer", test_clock: "clock_1" }),
    received,
  );
  expect(await drop()).toBe(0);
  const [row] = await database.sql<{ lives: boolean }[]>`
    select billing_private.goes_by_test_clock(
      billing_private.read_as_event('{"id": "pm_1", "object": "payment_method", "customer": "cus_clock", "livemode": false}', now(), now())
    ) as lives`;
  expect(row).toEqual({ lives: true });
});

test("an unresolved failure whose payload is gone all the same is refused by name, with what to do", async () => {
  await installHandler(database);
  await breakHandler(database, { customer: "cus_lost", sqlstate: "AP001" });
  await database.receive(customerEvent("lost"), received);
  await database.sql`delete from billing_private.webhook_payloads`;
  await expect(replay("evt_lost")).rejects.toMatchObject({
    code: "DU033",
    message: "payload of event evt_lost is gone",
    hint: expect.stringContaining("dropped by age"),
  });
  await database.sql`update billing.failed_webhooks set next_attempt_at = ${received}`;
  await database.sql`select billing.retry_failed_webhook(${longAfter}::timestamptz)`;
  expect(await failureOf(database, "evt_lost")).toMatchObject({ attempts: 2, error: { sqlstate: "DU033" } });
});

test("an event that was projected is left as it is when it is replayed, also without its payload", async () => {
  await database.receive(event("evt_done", "product.created", { id: "prod_1", object: "product" }), received);
  expect(await drop()).toBe(1);
  expect(await replay("evt_done")).toBe("processed");
});

test("an event of a second whose payloads are gone is applied, and the object read from Stripe", async () => {
  const product = (name: string) => ({ id: "prod_1", object: "product", name, active: true });
  await database.receive(event("evt_1", "product.updated", product("one")), received);
  expect(await drop()).toBe(1);
  await database.receive(event("evt_2", "product.updated", product("two")), new Date(longAfter));
  expect(
    await database.sql`select payload ->> 'id' as id from billing.outbox where kind = 'refresh'`,
  ).toEqual([{ id: "prod_1" }]);
  expect(await database.sql`select name from billing.products`).toEqual([{ name: "two" }]);
});

test("what found no partition is dropped by age too", async () => {
  await database.receive(
    event("evt_stray", "product.created", { id: "prod_1", object: "product" }),
    new Date("2030-06-01T00:00:00Z"),
  );
  await database.receive(
    event("evt_open", "invoice.updated", invoice("in_open", "open")),
    new Date("2030-06-01T00:00:00Z"),
  );
  expect(await drop("2030-07-01T00:00:00Z")).toBe(1);
  expect(await told()).toEqual(["evt_open"]);
});

test("a person is forgotten in what is kept as well", async () => {
  const user = await database.signUp();
  await database.receive(
    event("evt_ada", "customer.created", {
      id: "cus_ada",
      object: "customer",
      name: "Ada Lovelace",
      email: "ada@example.com",
      metadata: { owner_id: user },
    }),
    received,
  );
  await database.receive(
    event(
      "evt_refund",
      "refund.created",
      { id: "re_Ada1", object: "refund", customer_name: "Ada Lovelace", payment_intent: "pi_Ada1" },
      true,
    ),
    received,
  );
  await database.receive(
    event("evt_paid", "payment_intent.succeeded", {
      id: "pi_Ada1",
      object: "payment_intent",
      customer: "cus_ada",
      amount: 900,
      currency: "eur",
      status: "succeeded",
    }),
    received,
  );
  expect(await drop()).toBe(1);
  expect(await told()).toEqual(["evt_ada", "evt_refund"]);
  await database.sql`select billing.forget_user(${user})`;
  expect(await told()).toEqual(["evt_ada", "evt_refund"]);
  expect(
    await database.sql`select id from billing.stripe_events where payload::text ~* 'lovelace|ada@'`,
  ).toEqual([]);
});

async function replay(id: string): Promise<string | undefined> {
  const [row] = await database.sql<{ outcome: string }[]>`
    select billing.replay_failed_webhook(${id}, ${longAfter}::timestamptz) as outcome`;
  return row?.outcome;
}
