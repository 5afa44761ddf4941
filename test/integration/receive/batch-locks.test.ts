import type { JSONValue, Sql, TransactionSql } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { receiveAll } from "../../support/histories/batches.ts";

// A batch waits for nobody: what it cannot have at once leaves it. And it is stored whole, or as if it had never been sent.

let database: TestDatabase;
let batch: Sql;
let other: Sql;
let made = 0;
beforeAll(async () => {
  database = await createTestDatabase();
  [batch, other] = [database.connect(), database.connect()];
});
afterAll(() => database?.drop());

const told = <T extends object>(type: string, object: T) => ({
  id: `evt_${++made}`,
  object: "event",
  type,
  created: 1_790_000_000,
  livemode: false,
  data: { object },
});
const customerTold = (id = `cus_${++made}`) => told("customer.updated", { id, object: "customer" });
const asJson = (event: object) => event as unknown as JSONValue;

const receive = (...events: object[]) => receiveAll(batch, JSON.stringify(events));

/** What a batch answers while somebody else's transaction holds something. */
async function receiveBeside(
  held: (sql: TransactionSql) => PromiseLike<unknown>,
  ...events: object[]
): Promise<string[]> {
  return await other.begin(async (transaction) => {
    await held(transaction);
    return await receive(...events);
  });
}

async function storedOf(...events: { id: string }[]): Promise<string[]> {
  const rows = await database.sql<{ id: string }[]>`
    select id from billing.webhook_events where id = any (${events.map(({ id }) => id)}) order by id collate "C"`;
  return rows.map(({ id }) => id);
}

test("an event of a customer whose turn is not free leaves the batch at once, and is taken alone afterwards", async () => {
  const [busy, free] = [customerTold(), customerTold()];
  const answers = await receiveBeside(
    (sql) => sql`select billing.receive_event(${sql.json(asJson(customerTold(busy.data.object.id)))})`,
    busy,
    free,
  );
  expect(answers).toEqual(["retry_single", "processed"]);
  expect(await storedOf(busy, free)).toEqual([free.id]);
  expect(await database.receive(busy)).toBe("processed");
});

test("so does one that another transaction is storing, before either has committed", async () => {
  const [shared, free] = [customerTold(), customerTold()];
  const answers = await receiveBeside(
    (sql) => sql`select billing.receive_event(${sql.json(asJson(shared))})`,
    free,
    shared,
  );
  expect(answers).toEqual(["processed", "retry_single"]);
  expect(await receive(free, shared)).toEqual(["duplicate", "duplicate"]);
});

test("one whose plan is being edited leaves it", async () => {
  const item = { id: "si_1", price: { id: "price_1", product: "prod_1" }, quantity: 1 };
  const subscribed = told("customer.subscription.updated", {
    id: "sub_1",
    object: "subscription",
    customer: "cus_subscribed",
    status: "active",
    items: { data: [item] },
  });
  const free = customerTold();
  const edited = told("product.updated", { id: "prod_1", object: "product", name: "Gold" });
  const answers = await receiveBeside(
    (sql) => sql`select billing.receive_event(${sql.json(asJson(edited))})`,
    subscribed,
    free,
  );
  expect(answers).toEqual(["retry_single", "processed"]);
});

test("one whose payment somebody else tells of leaves it", async () => {
  const refunded = told("refund.updated", {
    id: "re_1",
    object: "refund",
    payment_intent: "pi_1",
    amount: 5,
    currency: "eur",
    status: "succeeded",
  });
  const paid = told("invoice_payment.paid", {
    id: "inpay_1",
    object: "invoice_payment",
    invoice: "in_1",
    amount_paid: 900,
    currency: "eur",
    status: "paid",
    payment: { type: "payment_intent", payment_intent: "pi_1" },
  });
  const free = customerTold();
  const answers = await receiveBeside(
    (sql) => sql`select billing.receive_event(${sql.json(asJson(refunded))})`,
    paid,
    free,
  );
  expect(answers).toEqual(["retry_single", "processed"]);
});

test("one whose person is being forgotten leaves it", async () => {
  const user = await database.signUp();
  const theirs = told("customer.updated", {
    id: `cus_${++made}`,
    object: "customer",
    metadata: { owner_id: user },
  });
  await database.receive(theirs);
  const [again, free] = [customerTold(theirs.data.object.id), customerTold()];
  const answers = await receiveBeside((sql) => sql`select billing.forget_user(${user})`, again, free);
  expect(answers).toEqual(["retry_single", "processed"]);
});

test("one that needs a row somebody holds leaves it soon, with all that it wrote", async () => {
  const [held, free] = [customerTold(), customerTold()];
  await database.receive(held);
  const next = told("customer.updated", { ...held.data.object, name: "Ada" });
  next.created += 1;
  const answers = await receiveBeside(
    (sql) => sql`select from billing.customers where id = ${held.data.object.id} for update`,
    next,
    free,
  );
  expect(answers).toEqual(["retry_single", "processed"]);
  expect(await storedOf(next)).toEqual([]);
  const failures = await database.sql`select from billing.failed_webhooks where event_id = ${next.id}`;
  expect(failures).toHaveLength(0);
});

test("a batch that runs out of time stores nothing, and can be sent again", async () => {
  await database.sql.unsafe(`
    create schema app;
    create function app.take_long(p_event billing.stripe_events) returns void language plpgsql as
    $$ begin if p_event.object_id = 'cus_slow' then perform pg_sleep(60); end if; end $$;
    insert into billing.event_handlers (event_type, handler, position) values ('customer.updated', 'app.take_long', 200);
  `);
  const events = [customerTold(), customerTold("cus_slow"), customerTold()];
  await batch`set statement_timeout = '500ms'`;
  await expect(receive(...events)).rejects.toMatchObject({ code: "57014" });
  expect(await storedOf(...events)).toEqual([]);
  await database.sql`delete from billing.event_handlers where handler = 'app.take_long'`;
  await batch`set statement_timeout = 0`;
  expect(await receive(...events)).toEqual(["processed", "processed", "processed"]);
});

test("events that are left when a batch has taken long leave it", async () => {
  await database.sql.unsafe(`
    create function app.take_two_seconds(p_event billing.stripe_events) returns void language plpgsql as
    $$ begin if p_event.object_id = 'cus_slow' then perform pg_sleep(2); end if; end $$;
    insert into billing.event_handlers (event_type, handler, position) values ('customer.updated', 'app.take_two_seconds', 200);
  `);
  const [first, slow, last] = [customerTold(), customerTold("cus_slow"), customerTold()];
  expect(await receive(first, slow, last)).toEqual(["processed", "processed", "retry_single"]);
  await database.sql`delete from billing.event_handlers where handler = 'app.take_two_seconds'`;
});

test("a page about a hundred customers leaves room in the server's table of locks for eight at once", async () => {
  const page = Array.from({ length: 100 }, (_, index) =>
    told("payment_intent.succeeded", {
      id: `pi_page_${index}`,
      object: "payment_intent",
      customer: `cus_page_${index}`,
      latest_charge: `ch_page_${index}`,
      amount: 900,
      amount_received: 900,
      currency: "eur",
      status: "succeeded",
      created: 1_790_000_000,
    }),
  );
  const [counted] = await batch.begin(async (transaction) => {
    const [answers] = await transaction<{ answers: string[] }[]>`
      select billing.receive_events(${transaction.json(asJson(page))}) as answers`;
    expect(new Set(answers?.answers)).toEqual(new Set(["processed"]));
    return await transaction<{ held: number; room: number }[]>`
      select
        count(*)::integer as held,
        current_setting('max_locks_per_transaction')::integer * current_setting('max_connections')::integer as room
      from pg_locks where pid = pg_backend_pid() and not fastpath`;
  });
  console.log(`locks of a page: ${JSON.stringify(counted)}`);
  expect((counted?.held ?? Number.NaN) * 8).toBeLessThan(counted?.room ?? 0);
});
