import type { Sql } from "postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// Stripe is told 2xx once an event is committed, and a commit that does not wait for the disk can be lost in a crash.
// A repetition need not wait: its event is on disk already.

let database: TestDatabase;
let session: Sql;
let number = 0;
beforeAll(async () => {
  database = await createTestDatabase();
  session = database.connect();
  // The tests' own server waits for no disk, to be quick; here a session is as on the platform.
  await session`set synchronous_commit = on`;
});
beforeEach(() => session`begin`);
afterAll(() => database.drop());

const event = (id: string) => ({
  id,
  object: "event",
  type: "product.updated",
  created: 1_790_000_000,
  livemode: false,
  data: { object: { id: "prod_1", object: "product", name: "Gold" } },
});

const fresh = () => `evt_${number++}`;

async function receive(id: string): Promise<string> {
  const [row] = await session<
    { outcome: string }[]
  >`select billing.receive_event(${session.json(event(id))}) as outcome`;
  return row?.outcome ?? "nothing";
}

/** Whether the transaction's commit waits for the disk, asked as its last statement. */
async function commitWaits(): Promise<boolean> {
  const [row] = await session<{ setting: string }[]>`select current_setting('synchronous_commit') as setting`;
  await session`commit`;
  return row?.setting === "on";
}

test("the commit of a new event waits for the disk", async () => {
  expect(await receive(fresh())).toBe("processed");
  expect(await commitWaits()).toBe(true);
});

test("that of a repetition does not", async () => {
  await database.receive(event("evt_repeated"));
  expect(await receive("evt_repeated")).toBe("duplicate");
  expect(await commitWaits()).toBe(false);
});

test("it does where a new event comes after the repetition in one transaction", async () => {
  expect(await receive("evt_repeated")).toBe("duplicate");
  expect(await receive(fresh())).toBe("processed");
  expect(await commitWaits()).toBe(true);
});

test("or before it", async () => {
  expect(await receive(fresh())).toBe("processed");
  expect(await receive("evt_repeated")).toBe("duplicate");
  expect(await commitWaits()).toBe(true);
});

test("and the setting ends with the transaction", async () => {
  expect(await receive("evt_repeated")).toBe("duplicate");
  expect(await commitWaits()).toBe(false);
  await session`begin`;
  expect(await commitWaits()).toBe(true);
});
