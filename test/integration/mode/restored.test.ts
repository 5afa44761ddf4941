import { afterEach, beforeEach, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";
import { restoreBackup } from "./restore-backup.ts";

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
}, 240_000);

const LADDER = JSON.stringify([
  { day: 0, kind: "notice" },
  { day: 3, kind: "final_warning" },
  { day: 6, kind: "end" },
]);

it.each(["classic", "flexible"] as const)(
  "what dunning paused after the backup (%s billing) is told once, and goes on once it is paid",
  async (type) => {
    const { sql } = world.database;
    await sql`select billing.define_dunning_policy('default', ${sql.json(JSON.parse(LADDER))}, 'pause', p_now => ${world.now})`;
    const who = await world.subscribe({ params: { billing_mode: { type } } });
    await world.arrive();
    await world.breakCard(who);
    await world.renew(who);
    await world.run();
    for (let day = 0; day < 4; day++) await world.nextDay();
    const copy = await createTestDatabase({ copyOf: world.database });
    const backupAt = world.now;
    for (let day = 0; day < 4; day++) await world.nextDay();
    const told = world.mailsTo(who.email);
    expect(told.at(-1)).toBe("subscription-paused");

    await restoreBackup(world, copy, backupAt);
    for (let day = 0; day < 2; day++) await world.nextDay();
    expect(world.mailsTo(who.email)).toEqual(told);

    const [invoice] = await world.database.sql<
      { id: string }[]
    >`select id from billing.invoices where status = 'open'`;
    const card = await world.stripe.paymentMethods.attach("pm_card_mastercard", { customer: who.customer });
    await world.stripe.invoices.pay(invoice?.id ?? "", { payment_method: card.id });
    await world.arrive();
    await world.deliver();
    await world.nextDay();
    const { status, pause_collection } = await world.stripe.subscriptions.retrieve(who.subscription);
    expect({ status, pause_collection }).toEqual({ status: "active", pause_collection: null });
    const since = world.mailsTo(who.email).slice(told.length);
    expect(since.filter((mail) => mail !== "payment-receipt")).toEqual(["subscription-resumed"]);
  },
  240_000,
);
