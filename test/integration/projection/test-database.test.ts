import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

it("gives a test a migrated database in which nobody is a superuser by accident", async () => {
  const [owner] =
    await database.sql`select current_user as role, rolsuper from pg_roles where rolname = current_user`;
  expect(owner).toEqual({ role: "postgres", rolsuper: false });
  expect(await database.sql`select livemode from billing.settings`).toEqual([{ livemode: false }]);
});

it("takes the Data API's way in: role, claims and timeouts", async () => {
  const user = await database.signUp();
  const [seen] = await database.asUser(
    user,
    (sql) =>
      sql`select current_user as role, auth.uid() as id, current_setting('lock_timeout') as lock_timeout`,
  );
  expect(seen).toEqual({ role: "authenticated", id: user, lock_timeout: "8s" });
  await expect(database.asAnon((sql) => sql`select * from billing.customers`)).rejects.toMatchObject({
    code: "42501",
  });
});

it("delivers an event through the one door", async () => {
  const event = {
    id: "evt_example_harness",
    object: "event",
    type: "customer.created",
    created: 1790000000,
    livemode: false,
    data: { object: { id: "cus_example_harness", object: "customer", created: 1790000000 } },
  };
  expect(await database.receive(event)).toBe("processed");
  expect(await database.receive(event, new Date())).toBe("duplicate");
});
