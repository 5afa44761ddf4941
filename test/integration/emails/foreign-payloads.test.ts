import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { startInbox } from "../../../scripts/local/inbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";

/** Payloads that nobody here wrote. They are no part of the project, so a checkout alone does not have them. */
const SHARED = join(import.meta.dirname, "../../../../shared");
const CASES = join(SHARED, "cases/payloads");
const EVENTS = join(SHARED, "stripe/events");
const areThere = existsSync(CASES) && existsSync(EVENTS);
if (!areThere) console.log(`skipped: there are no foreign payloads in ${SHARED}`);

/** A fault that was seen once: events, and what must hold after them. `adds_up` is said in words, for a reader. */
interface Case {
  name: string;
  events: StripeEvent[];
  expect: {
    /** Template of the mail. */
    mail?: string;
    in_text?: string;
    not_in_text?: string;
    /** Columns of billing.payments by id; `set` is any value. */
    payments?: Record<string, Record<string, string | number | null>>;
  };
}
const read = <T>(folder: string) =>
  (areThere ? readdirSync(folder) : [])
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as T);
const cases = read<Case>(CASES);
const events = read<StripeEvent>(EVENTS).map((event, index) => ({ ...event, id: `evt_foreign_${index}` }));

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Brings events to an empty database; returns it and every mail that came of them, in a language. */
async function tell(from: readonly StripeEvent[], language: string) {
  const database: TestDatabase = await createTestDatabase();
  closers.push(() => database.drop());
  const inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
  await database.sql`update billing.settings set default_locale = ${language} where id`;
  for (const event of from) await database.receive(event, new Date((event.created + 1) * 1000));
  // Whom they are about, foreign events do not always tell: somebody reads each mail all the same.
  await database.sql`
    insert into billing.customers (id, email, created) values ('cus_reader', 'reader@example.com', '2020-01-01T00:00:00Z')`;
  await database.sql`
    update billing.outbox as o set payload = o.payload || '{"customer": "cus_reader"}'
    where o.kind = 'email'
      and not exists (select from billing.customers as c where c.id = o.payload ->> 'customer' and c.email is not null)`;
  const last = Math.max(...from.map(({ created }) => created));
  // They are of months, and every mail is read all the same: none is too old to be sent.
  await database.sql`update billing.outbox set created_at = ${new Date(last * 1000)} where kind = 'email'`;
  await deliver({ database, resend: { url: inbox.apiUrl } }, new Date((last + 900) * 1000));
  const mails = inbox.emails().map(({ tags, subject, text }) => ({
    template: tags?.find(({ name }) => name === "template")?.value ?? "",
    text: `${subject}\n${text}`.replaceAll(/[\u00a0\u202f]/g, " "),
  }));
  await inbox.close();
  return { database, mails };
}

/** What no mail may say: the absence of a value, a label without one, an amount without digits. */
const NOTHING = /\b(null|undefined|NaN|Invalid Date)\b|\[object|^[^\n:]{2,30}:[ ]*$|„“|""/m;

describe.skipIf(!areThere).each(["en", "de"])("in %s", (language) => {
  it.each(cases)("$name holds", async ({ events: told, expect: expected }) => {
    const { database, mails } = await tell(told, language);
    for (const [id, columns] of Object.entries(expected.payments ?? {})) {
      const [row] = await database.sql`select * from billing.payments where id = ${id}`;
      for (const [column, value] of Object.entries(columns)) {
        if (value === "set") expect(row?.[column], column).not.toBeNull();
        else
          expect(row?.[column] === null ? null : `${row?.[column]}`, column).toBe(
            value === null ? null : `${value}`,
          );
      }
    }
    if (expected.mail) {
      const mail = mails.find(({ template }) => template === expected.mail);
      expect(mail?.text).toBeDefined();
      expect(mail?.text).not.toMatch(NOTHING);
      // What a case says of a mail, it says in English.
      if (language === "en") {
        if (expected.in_text) expect(mail?.text).toContain(expected.in_text);
        if (expected.not_in_text) expect(mail?.text).not.toContain(expected.not_in_text);
      }
    }
  });

  it("of events of 2020 no mail says nothing", async () => {
    const { mails } = await tell(
      events.filter(({ livemode }) => !livemode),
      language,
    );
    for (const { text } of mails) expect(text).not.toMatch(NOTHING);
    expect(mails.length).toBeGreaterThan(0);
  });
});
