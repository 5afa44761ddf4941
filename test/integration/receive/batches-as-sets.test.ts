import type { Sql } from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { receiveAll } from "../../support/histories/batches.ts";

// What stands out in a batch is taken out of its set, and changes nothing for the others of it.

const NOW = 1_790_000_000;

let database: TestDatabase;
let sql: Sql;
let made = 0;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = database.connect();
});
afterAll(() => database?.drop());

interface Event {
  id: string;
  livemode: boolean;
  data: { object: { id: string } };
}

const told = (type: string, object: { id: string; object: string }, changes: object = {}): Event => ({
  ...{ id: `evt_set_${++made}`, object: "event", type, created: NOW, livemode: false, data: { object } },
  ...changes,
});
const invoicePaid = (changes: object = {}, event: object = {}) => {
  const nth = ++made;
  const object = {
    id: `in_${nth}`,
    object: "invoice",
    customer: `cus_${nth}`,
    status: "paid",
    amount_due: 900,
  };
  return told("invoice.paid", { ...object, ...changes }, event);
};
const customerTold = (id: string, name: string, created = NOW) =>
  told("customer.updated", { ...{ id, object: "customer", name } }, { created });

const receive = (...events: object[]) => receiveAll(sql, JSON.stringify(events));
const namesOf = async (id: string) => await sql`select name from billing.customers where id = ${id}`;
const amountsOf = async (...events: Event[]) =>
  (
    await sql<{ id: string; amount_due: string }[]>`
      select id, amount_due from billing.invoices where id = any (${events.map(({ data }) => data.object.id)}) order by id`
  ).map(({ amount_due }) => Number(amount_due));
const factsOf = async (...events: Event[]) =>
  (
    await sql<{ event_id: string }[]>`
      select event_id from billing.audit_events where event_id = any (${events.map(({ id }) => id)}) order by id`
  ).map(({ event_id }) => event_id);
/** How many subtransactions stored these. */
const stepsOf = async (...events: Event[]) =>
  (
    await sql`select distinct xmin::text from billing.webhook_events where id = any (${events.map(({ id }) => id)})`
  ).length;

describe("a batch", () => {
  it("stores and projects what concerns different customers together", async () => {
    const events = [invoicePaid(), invoicePaid(), invoicePaid()];
    expect(await receive(...events)).toEqual(["processed", "processed", "processed"]);
    expect(await amountsOf(...events)).toEqual([900, 900, 900]);
    expect(await factsOf(...events)).toEqual(events.map(({ id }) => id));
    expect(await stepsOf(...events)).toBe(1);
  });

  it("keeps an event that fails alone, with nothing of what it did, and projects the others of its set", async () => {
    const [first, bad, last] = [invoicePaid(), invoicePaid({ amount_due: "nine" }), invoicePaid()];
    expect(await receive(first, bad, last)).toEqual(["processed", "failed", "processed"]);
    expect(await amountsOf(first, bad, last)).toEqual([900, 900]);
    expect(await factsOf(first, bad, last)).toEqual([first.id, last.id]);
    expect(
      await sql`select status, attempts, error ->> 'sqlstate' as sqlstate from billing.failed_webhooks where event_id = ${bad.id}`,
    ).toEqual([{ status: "retrying", attempts: 1, sqlstate: "22P02" }]);
  });

  it("answers each by its place: malformed, repeated, quarantined, known, of an edited plan", async () => {
    const known = invoicePaid();
    await database.receive(known);
    const [first, twice, stray] = [invoicePaid(), invoicePaid(), invoicePaid({}, { livemode: true })];
    const nameless = { ...invoicePaid(), id: "" };
    const plan = told("product.updated", { id: "prod_set", object: "product" });
    expect(await receive(nameless, twice, stray, known, first, plan, twice)).toEqual([
      "retry_single",
      "processed",
      "quarantined",
      "duplicate",
      "processed",
      "retry_single",
      "duplicate",
    ]);
    expect(await amountsOf(first, twice, stray)).toEqual([900, 900]);
  });

  it("shows the newest of one customer's events, stale ones and those of one second among them", async () => {
    const id = `cus_${++made}`;
    const events = [
      customerTold(id, "Second", NOW + 2),
      invoicePaid(),
      customerTold(id, "Stale", NOW + 1),
      customerTold(id, "Third", NOW + 3),
      customerTold(`cus_${++made}`, "Another", NOW + 3),
    ];
    expect(await receive(...events)).toEqual(events.map(() => "processed"));
    expect(await namesOf(id)).toEqual([{ name: "Third" }]);

    const before = { previous_attributes: { name: "Third" } };
    const later = customerTold(id, "Fourth", NOW + 4);
    const [one, other] = [
      { ...later, data: { ...later.data, ...before } },
      { ...customerTold(id, "Fifth", NOW + 4) },
    ];
    other.data = { ...other.data, previous_attributes: { name: "Fourth" } } as typeof other.data;
    expect(await receive(other, customerTold(`cus_${++made}`, "Another"), one)).toEqual([
      "processed",
      "processed",
      "processed",
    ]);
    expect(await namesOf(id)).toEqual([{ name: "Fifth" }]);
  });

  it("stores nothing of a person who is forgotten, whoever else is in it", async () => {
    const user = await database.signUp();
    const [known, other] = [customerTold(`cus_${++made}`, "Ada"), customerTold(`cus_${++made}`, "Grace")];
    Object.assign(known.data.object, { metadata: { owner_id: user } });
    await receive(known, other);
    await sql`select billing.forget_user(${user})`;
    const later = customerTold(known.data.object.id, "Ada again", NOW + 9);
    const free = customerTold(other.data.object.id, "Grace H.", NOW + 9);
    expect(await receive(free, later)).toEqual(["processed", "processed"]);
    expect(await namesOf(other.data.object.id)).toEqual([{ name: "Grace H." }]);
    expect(
      await sql`select payload #>> '{data,object,name}' as name from billing.stripe_events where id = ${later.id}`,
    ).toEqual([{ name: null }]);
  });
});

describe("handlers that users add or disable", () => {
  afterEach(async () => {
    await sql`delete from billing.event_handlers where handler = 'public.note_invoice'`;
    await sql`update billing.event_handlers set enabled = true where not enabled`;
  });

  it("are called for each event of a batch, one by one and in their order", async () => {
    await sql`create table if not exists public.noted (id bigint generated always as identity, event_id text, known integer)`;
    await sql`
      create or replace function public.note_invoice(event billing.stripe_events) returns void language sql as $$
        insert into public.noted (event_id, known)
        select event.id, count(*) from billing.invoices as i where i.amount_due = 77
      $$`;
    await sql`
      insert into billing.event_handlers (event_type, handler, position) values ('invoice.paid', 'public.note_invoice', 60)`;
    const events = [1, 2, 3].map(() => invoicePaid({ amount_due: 77 }));
    expect(await receive(...events)).toEqual(["processed", "processed", "processed"]);
    // Each has seen the invoices of those before it, and of none after.
    expect(await sql`select event_id, known from public.noted order by id`).toEqual(
      events.map(({ id }, index) => ({ event_id: id, known: index + 1 })),
    );
    expect(await stepsOf(...events)).toBe(3);
  });

  it("are not called where they are disabled", async () => {
    await sql`
      update billing.event_handlers set enabled = false
      where event_type = 'invoice.paid' and handler = 'billing_private.record_audit_event'`;
    const events = [invoicePaid(), invoicePaid()];
    expect(await receive(...events)).toEqual(["processed", "processed"]);
    expect(await amountsOf(...events)).toEqual([900, 900]);
    expect(await factsOf(...events)).toEqual([]);

    await sql`
      update billing.event_handlers set enabled = false
      where event_type = 'invoice.paid' and handler = 'billing_private.project_invoice'`;
    const hidden = [invoicePaid(), invoicePaid()];
    expect(await receive(...hidden)).toEqual(["processed", "processed"]);
    expect(await amountsOf(...hidden)).toEqual([]);
    expect(await stepsOf(...hidden)).toBe(1);
  });
});
