import { afterAll, afterEach, expect, it } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { fixture, loadFixtures, renamedFixture } from "../../support/fixtures.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";

let databases: TestDatabase[] = [];
const dropAll = async () => {
  for (const database of databases) await database.drop();
  databases = [];
};
afterEach(dropAll);
afterAll(dropAll);

const receive = (database: TestDatabase, event: StripeEvent) =>
  database.receive(event, new Date((event.created + 2) * 1000));

async function newDatabase(off: readonly string[] = []): Promise<TestDatabase> {
  const database = await createTestDatabase();
  databases.push(database);
  await database.sql`update billing.settings set emails_off = ${off} where id`;
  return database;
}
/** Templates of what the fixtures' story owes. */
async function toldStory(off: readonly string[]): Promise<string[]> {
  const database = await newDatabase(off);
  for (const event of loadFixtures()) await receive(database, event);
  const rows = await database.sql<{ template: string }[]>`
    select payload ->> 'template' as template from billing.outbox where kind = 'email' order by id
  `;
  return rows.map(({ template }) => template);
}

it("every kind of email can be switched off by its name, one of them or all", {
  timeout: 120_000,
}, async () => {
  expect(await toldStory(emailNames)).toEqual([]);
  const all = await toldStory([]);
  expect(new Set(all).size).toBeGreaterThan(5);
  for (const kind of new Set(all)) {
    const rest = await toldStory([kind]);
    expect(rest, `without ${kind}`).not.toContain(kind);
    expect(rest, `without ${kind}`).toEqual(expect.arrayContaining(all.filter((other) => other !== kind)));
  }
});

it("a name that is no email's cannot be switched off", async () => {
  const database = await newDatabase();
  await expect(
    database.sql`update billing.settings set emails_off = '{payment-receipts}' where id`,
  ).rejects.toMatchObject({ constraint_name: "emails_off_names_emails" });
});

it.each([
  // Payloads of older versions name no cause.
  ["other", undefined],
  ["requested", { paused: { subscription: { type: "pause_requested" } } }],
])(
  "a subscription that is paused, and not because there is no card, is told as that: %s",
  async (told, cause) => {
    const database = await newDatabase();
    const paused = renamedFixture(fixture("customer.subscription.paused"), "Resting");
    Object.assign(paused.data.object, {
      trial_settings: null,
      default_payment_method: "pm_Example",
      status_details: cause,
    });
    await receive(database, paused);
    const mails = await database.sql`
    select payload ->> 'template' as template, payload #>> '{props,reason}' as reason from billing.outbox where kind = 'email'
  `;
    expect(mails).toEqual([{ template: "subscription-paused", reason: told }]);
  },
);

it("a mail is enqueued in the transaction of the state that it is about: neither exists without the other", async () => {
  const database = await newDatabase();
  const found = () => database.sql`
    select
      (select count(*)::int from billing.invoices where status = 'paid') as paid,
      (select count(*)::int from billing.outbox where dedupe_key like 'receipt:%') as receipts
  `;
  await database.sql.unsafe(`
    create schema app;
    create table app.mood (is_good boolean);
    insert into app.mood values (false);
    create function app.refuse(event billing.stripe_events) returns void language plpgsql as $$
    begin
      if not (select is_good from app.mood) then raise exception 'not now'; end if;
    end;
    $$;
    insert into billing.event_handlers (event_type, handler, position) values ('invoice.paid', 'app.refuse', 900);
  `);
  const event = fixture("invoice.paid");
  expect(await receive(database, event)).toBe("failed");
  expect(await found()).toEqual([{ paid: 0, receipts: 0 }]);
  await database.sql`update app.mood set is_good = true`;
  const later = new Date((event.created + 3600) * 1000);
  await database.sql`select billing.replay_failed_webhook(${event.id}, ${later})`;
  expect(await found()).toEqual([{ paid: 1, receipts: 1 }]);
});
