import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { customerEvent, failureOf, untilSomebodyWaits } from "./handlers.ts";

// event_handlers is edited while events come in: in Studio, by a migration of the application, by two people at once.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create schema app;
    create table app.seen (event_id text, by text);
    create function app.one(p_event billing.stripe_events) returns void language sql as
      $$ insert into app.seen values (p_event.id, 'one') $$;
    create function app.two(p_event billing.stripe_events) returns void language sql as
      $$ insert into app.seen values (p_event.id, 'two') $$;
    create function app.three(p_event billing.stripe_events) returns void language sql as
      $$ insert into app.seen values (p_event.id, 'three') $$;
  `);
});
afterAll(() => database.drop());

async function seenBy(event: { id: string }): Promise<string[]> {
  const rows = await database.sql`select by from app.seen where event_id = ${event.id} order by by`;
  return rows.map((row) => row.by as string);
}

const add = (handler: string) => `
  insert into billing.event_handlers (event_type, handler) values ('customer.created', '${handler}')
`;

test("an edit counts for the next event, also in a session that has seen many", async () => {
  const session = database.connect();
  const receive = async (name: string) => {
    const event = customerEvent(name);
    await session`select billing.receive_event(${session.json(event)})`;
    return seenBy(event);
  };
  for (let number = 0; number < 8; number++) expect(await receive(`before_${number}`)).toEqual([]);
  await database.sql.unsafe(add("app.one"));
  expect(await receive("added")).toEqual(["one"]);
  await database.sql`update billing.event_handlers set enabled = false where handler = 'app.one'`;
  expect(await receive("switched_off")).toEqual([]);
  await database.sql`update billing.event_handlers set enabled = true where handler = 'app.one'`;
  expect(await receive("switched_on")).toEqual(["one"]);
  await database.sql`delete from billing.event_handlers where handler = 'app.one'`;
  expect(await receive("removed")).toEqual([]);
});

test("an edit that is not committed holds up no event and changes nothing", async () => {
  const editor = database.connect();
  await editor.unsafe(`begin; ${add("app.one")}`);
  const event = customerEvent("meanwhile");
  expect(await database.receive(event)).toBe("processed");
  expect(await seenBy(event)).toEqual([]);
  await editor.unsafe("rollback");
  const next = customerEvent("after_rollback");
  expect(await database.receive(next)).toBe("processed");
  expect(await seenBy(next)).toEqual([]);
});

test("two edits at the same time both count", async () => {
  const [first, second] = [database.connect(), database.connect()];
  await first.unsafe(`begin; ${add("app.two")}`);
  const waiting = second.unsafe(add("app.three")).execute();
  await untilSomebodyWaits(database);
  await first.unsafe("commit");
  await waiting;
  const event = customerEvent("both");
  expect(await database.receive(event)).toBe("processed");
  expect(await seenBy(event)).toEqual(["three", "two"]);
});

test("a handler that is dropped fails the events it was for, and no others", async () => {
  await database.sql`drop function app.two(billing.stripe_events)`;
  const event = customerEvent("dropped");
  expect(await database.receive(event)).toBe("failed");
  expect(await failureOf(database, event.id)).toMatchObject({
    status: "retrying",
    error: { sqlstate: "42883" },
  });
  const product = { id: "prod_1", object: "product", name: "Gold", active: true };
  expect(
    await database.receive({ ...customerEvent("other"), type: "product.created", data: { object: product } }),
  ).toBe("processed");
  await database.sql`delete from billing.event_handlers where handler = 'app.two'`;
});

test("a handler that is replaced by a better one is called as it is now", async () => {
  await database.sql.unsafe(`
    create or replace function app.three(p_event billing.stripe_events) returns void language plpgsql as
    $$ begin insert into app.seen values (p_event.id, 'better'); end $$;
  `);
  const event = customerEvent("replaced");
  expect(await database.receive(event)).toBe("processed");
  expect(await seenBy(event)).toEqual(["better"]);
});

test("an event type with a quote in it is handled like any other", async () => {
  const type = "o'clock.struck";
  await database.sql`insert into billing.event_handlers (event_type, handler) values (${type}, 'app.three')`;
  const event = { ...customerEvent("quoted"), type };
  expect(await database.receive(event)).toBe("processed");
  expect(await seenBy(event)).toEqual(["better"]);
});

test("without a single handler every event is stored and done", async () => {
  const other = await createTestDatabase();
  try {
    await other.sql`truncate billing.event_handlers`;
    expect(await other.receive(customerEvent("unhandled"))).toBe("processed");
    expect(await other.sql`select id from billing.customers`).toEqual([]);
  } finally {
    await other.drop();
  }
});
