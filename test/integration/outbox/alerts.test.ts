import { afterAll, beforeAll, expect, it } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { alertText } from "../../../supabase/functions/deliver/effects/alert.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";

let database: TestDatabase;
let inbox: Inbox;
beforeAll(async () => {
  database = await createTestDatabase();
  inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
});
afterAll(async () => {
  await inbox.close();
  await database.drop();
});
const later = (seconds: number) => new Date(Date.now() + seconds * 1000);

it("an alert reaches the operator by mail and on the webhook, once for each cause and hour", async () => {
  const posted: string[] = [];
  for (const error of ["first", "second", "third"]) {
    await database.sql`
      select billing_private.alert('dead_effect', ${database.sql.json({ outbox_id: 7, error })}, '2026-11-01T12:30:00Z')
    `;
  }
  await database.sql`select billing_private.alert('dead_effect', '{"error": "later"}', '2026-11-01T13:30:00Z')`;
  const { counts } = await deliver({
    database,
    resend: { url: inbox.apiUrl },
    alertMail: { from: "Duebase <billing@example.com>", to: "ops@example.com" },
    postAlert: async (text) => {
      posted.push(text);
    },
  });
  expect(counts.delivered).toBe(2);
  expect(posted).toHaveLength(2);
  expect(posted[0]).toContain("error: first");
  expect(inbox.ledger.mailsWhere({ to: "ops@example.com" }).map(({ subject }) => subject)).toEqual([
    "Duebase alert: dead effect",
    "Duebase alert: dead effect",
  ]);
});

it("an alert whose webhook is down is tried again, and its mail is not sent twice", async () => {
  inbox.ledger.clear();
  await database.sql`select billing_private.alert('dead_webhook', '{"event_id": "evt_1"}', '2026-11-02T12:30:00Z')`;
  let fails = true;
  const parts = {
    database,
    resend: { url: inbox.apiUrl },
    alertMail: { from: "Duebase <billing@example.com>", to: "ops@example.com" },
    postAlert: async () => {
      if (fails) throw new Error("down");
    },
  };
  expect((await deliver(parts)).counts.failed).toBe(1);
  fails = false;
  expect((await deliver(parts, later(120))).counts.delivered).toBe(1);
  expect(inbox.ledger.mails).toHaveLength(1);
});

it("with nobody to alert it is logged as an error and not kept trying", async () => {
  await database.sql`select billing_private.alert('dead_webhook', '{}', '2026-11-03T12:30:00Z')`;
  const { counts, lines } = await deliver({ database });
  expect(counts.delivered).toBe(1);
  expect(lines[0]).toMatchObject({ outcome: "nobody_to_alert", type: "dead_webhook" });
});

it("says what happened, where to look, and the facts", () => {
  expect(alertText({ cause: "dead_effect", outbox_id: 12, error: "no luck" })).toMatch(
    /billing\.outbox[\s\S]*replay_outbox[\s\S]*outbox_id: 12\nerror: no luck/,
  );
  expect(alertText({ cause: "brand_new" })).toContain("brand_new");
});
