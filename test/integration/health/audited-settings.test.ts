import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const facts = (action: string) =>
  database.asService(
    (sql) =>
      sql`select actor, subject_id, detail from billing.audit_events where action = ${action} order by id`,
  );

it("a change of settings by hand is on record: who, what, from what to what", async () => {
  await database.sql`update billing.settings set dunning_hour = 7, support_email = 'help@example.com' where id`;
  await database.sql`update billing.settings set dunning_hour = 7 where id`;
  // The first is that the test's database went live.
  expect((await facts("settings.changed")).slice(-1)).toEqual([
    {
      actor: "operator",
      subject_id: null,
      detail: {
        by: "postgres",
        changed: {
          dunning_hour: { before: 9, after: 7 },
          support_email: { before: null, after: "help@example.com" },
        },
      },
    },
  ]);
});

it("so is what somebody changes of a policy, and for whom it is", async () => {
  await database.sql`update billing.dunning_policies set end_action = 'pause' where name = 'default'`;
  expect(await facts("dunning.policy_changed")).toEqual([
    {
      actor: "operator",
      subject_id: "default",
      detail: { by: "postgres", version: 1, changed: { end_action: { before: "cancel", after: "pause" } } },
    },
  ]);
  const ladder = [{ day: 0, kind: "notice" }];
  await database.asService(
    (sql) =>
      sql`select billing.define_dunning_policy('default', ${sql.json(ladder)}, p_end_action => 'leave')`,
  );
  expect(await facts("dunning.policy_changed")).toHaveLength(1);
  expect(await facts("dunning.policy_defined")).toMatchObject([
    { subject_id: "default" },
    {
      subject_id: "default",
      detail: { by: "authenticator", version: 2, end_action: "leave", steps: ladder },
    },
  ]);
  await database.asService(
    (sql) => sql`select billing.assign_dunning_policy('customer', 'cus_1', 'default')`,
  );
  await database.asService((sql) => sql`select billing.assign_dunning_policy('customer', 'cus_1', null)`);
  expect(await facts("dunning.policy_assigned")).toMatchObject([
    { subject_id: "cus_1", detail: { before: null, policy: "default" } },
    { subject_id: "cus_1", detail: { before: "default", policy: null } },
  ]);
});
