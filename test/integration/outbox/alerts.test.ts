import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { connectAlerts } from "../../../supabase/functions/_duebase/alert-webhook.ts";
import { alertText } from "../../../supabase/functions/duebase-deliver/effects/alert.ts";
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

it("without an address for alerts nobody was told: it is dead, and goes out once there is one", async () => {
  await database.sql`select billing_private.alert('dead_webhook', '{}', '2026-11-03T12:30:00Z')`;
  const { counts } = await deliver({ database, postAlert: null });
  expect(counts).toMatchObject({ delivered: 0, dead: 1 });
  const dead = await database.sql<{ id: string; code: string }[]>`
    select id, last_error ->> 'code' as code from billing.outbox where status = 'dead'`;
  expect(dead.map(({ code }) => code)).toEqual(["nobody_to_alert"]);
  const [health] = await database.sql`select status from billing.health where name = 'dead-effects'`;
  expect(health?.status).toBe("red");

  await database.sql`select billing.replay_outbox(${dead[0]?.id ?? ""})`;
  const posted: string[] = [];
  const postAlert = async (text: string) => void posted.push(text);
  expect((await deliver({ database, postAlert }, later(1))).counts.delivered).toBe(1);
  expect(posted).toHaveLength(1);
});

it("says what happened, where to look, and the facts", () => {
  expect(alertText({ cause: "dead_effect", outbox_id: 12, error: "no luck" })).toMatch(
    /billing\.outbox[\s\S]*replay_outbox[\s\S]*outbox_id: 12\nerror: no luck/,
  );
  expect(alertText({ cause: "brand_new" })).toContain("brand_new");
});

it("dead events get one alert an hour, by mail and on the webhook, through the outbox", async () => {
  await database.sql`truncate billing.outbox`;
  inbox.ledger.clear();
  const posted: string[] = [];
  for (const [event, at] of [
    ["evt_first", "2026-11-04T12:10:00Z"],
    ["evt_second", "2026-11-04T12:50:00Z"],
    ["evt_third", "2026-11-04T13:10:00Z"],
  ] as const) {
    const nothing = { id: "nothing_1", object: "nothing" };
    await database.receive({
      id: event,
      object: "event",
      type: "example.event",
      created: 1_793_000_000,
      livemode: false,
      data: { object: nothing },
    });
    for (let times = 0; times < 5; times++) {
      await database.sql`
        select billing_private.record_failure(
          jsonb_populate_record(null::billing.stripe_events, ${database.sql.json({ id: event, type: "example.event" })}),
          '{"sqlstate": "AP001", "message": "not now"}', ${at}
        )
      `;
    }
  }
  const enqueued = await database.sql`select dedupe_key from billing.outbox where kind = 'alert' order by id`;
  expect(enqueued.map(({ dedupe_key }) => dedupe_key)).toEqual([
    "alert:dead_webhook:2026-11-04T12Z",
    "alert:dead_webhook:2026-11-04T13Z",
  ]);
  await deliver({
    database,
    resend: { url: inbox.apiUrl },
    alertMail: { from: "Duebase <billing@example.com>", to: "ops@example.com" },
    postAlert: async (text) => void posted.push(text),
  });
  expect(posted).toEqual([expect.stringContaining("evt_first"), expect.stringContaining("evt_third")]);
  expect(inbox.ledger.count({ to: "ops@example.com" })).toBe(2);
});

it("what a customer wrote calls nobody, links nowhere and begins no line of its own", async () => {
  const text = alertText({
    cause: "dead_effect",
    error:
      "no <!channel> <@U123> <https://evil.example|your bank>\ncause: all is well\u202e @here [bank](https://evil.example)",
  });
  expect(text.split("\n")).toHaveLength(2);
  expect(text).not.toContain("\u202e");
  const posted: string[] = [];
  const post = connectAlerts("https://chat.example/hook", async (_url, init) => {
    posted.push((JSON.parse(String(init?.body)) as { text: string }).text);
    return new Response("ok");
  });
  await post(text);
  expect(posted[0]).toContain("&lt;!channel&gt; &lt;@\u200bU123&gt; &lt;https://evil.example|your bank&gt;");
  expect(posted[0]).toContain("@\u200bhere [bank]\u200b(https://evil.example)");
});

it("the webhook gets what Slack understands, and an answer other than 2xx is a failure", async () => {
  const asked: { type: string | undefined; body: string }[] = [];
  let status = 200;
  const slack = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      asked.push({ type: request.headers["content-type"], body });
      response.writeHead(status).end("ok");
    });
  });
  await new Promise<void>((resolve) => slack.listen(0, "127.0.0.1", resolve));
  const post = connectAlerts(`http://127.0.0.1:${(slack.address() as AddressInfo).port}/services/T0`);
  await post('Two lines,\nwith "quotes"');
  expect(asked).toEqual([
    { type: "application/json", body: JSON.stringify({ text: 'Two lines,\nwith "quotes"' }) },
  ]);
  status = 404;
  await expect(post("gone")).rejects.toThrow("404");
  await new Promise((resolve) => slack.close(resolve));
});
