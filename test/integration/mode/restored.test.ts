import { afterEach, beforeEach, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";

let world: DunningWorld;
let backup: TestDatabase | undefined;
beforeEach(async () => {
  world = await DunningWorld.open();
  await world.database.sql`
    update billing.settings
    set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
});
afterEach(async () => {
  await backup?.drop();
  backup = undefined;
  await world.close();
});

it("after a restore to yesterday nothing is sent again that had left, and a person releases what had not", async () => {
  const told = await world.subscribe();
  const untold = await world.subscribe();
  await world.arrive();
  backup = await createTestDatabase({ copyOf: world.database });
  // After the backup one of the two receipts left, and the other could not.
  const { sql } = world.database;
  await sql`delete from billing.outbox where payload ->> 'customer' = ${untold.customer}`;
  await world.deliver();
  expect(world.mailsTo(told.email)).toEqual(["payment-receipt"]);

  const restored = { ...world.parts, database: backup };
  world.now = new Date(world.now.getTime() + DAY);
  const [answer] = await backup.sql`select billing.restored(p_now => ${world.now}) as is`;
  expect(answer?.is).toMatchObject({ mode: "mirror", restored: 2 });
  await deliver(restored, world.now);
  expect(world.inbox.ledger.mails).toHaveLength(1);

  const listed = await backup.sql<{ id: string; customer: string; email_tag: string }[]>`
    select id, customer, email_tag from billing.restored_effects()`;
  const atResend = new Set(world.inbox.ledger.mails.map(({ tags }) => tags.duebase_email));
  const performed = listed.filter(({ email_tag }) => atResend.has(email_tag));
  expect(performed.map(({ customer }) => customer)).toEqual([told.customer]);
  const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => Number(id));
  const [marked] = await backup.sql`
    select billing.mark_as_performed(${ids(performed)}::bigint[], ${world.now}) as count`;
  expect(marked?.count).toBe(1);
  await backup.sql`select billing.restore_is_matched(${world.now})`;
  await backup.sql`select billing.go_live('local', ${world.now})`;
  await backup.sql`select * from billing.release_withheld(${ids(listed)}::bigint[], ${world.now})`;
  await deliver(restored, world.now);
  expect(world.mailsTo(told.email)).toEqual(["payment-receipt"]);
  expect(world.mailsTo(untold.email)).toEqual(["payment-receipt"]);
}, 60_000);
