import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { keyIn, signedHeaders } from "../../../scripts/local/inbox/webhooks/signature.ts";
import { createSvixVerifier } from "../../../supabase/functions/_duebase/svix-signature.ts";
import { handleResendWebhook } from "../../../supabase/functions/duebase-resend-webhook/handler.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService, deliver } from "../../support/delivering.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

const secret = `whsec_${Buffer.from("reports example, not a secret").toString("base64")}`;
let database: TestDatabase;
let inbox: Inbox;
let server: Server;
let answers: { status: number; outcome: unknown }[] = [];

function handle(request: Request): Promise<Response> {
  const call = callAsService(database);
  return handleResendWebhook(request, {
    verifySignature: createSvixVerifier(["whsec_b2xkZXI=", secret]),
    receiveReport: (id, report) =>
      call("receive_email_report", `{"p_id":${JSON.stringify(id)},"p_report":${report}}`),
    log: () => {},
    now: Date.now,
  });
}

beforeAll(async () => {
  database = await createTestDatabase();
  server = createServer(
    getRequestListener(async (request) => {
      const response = await handle(request);
      answers.push({
        status: response.status,
        outcome: ((await response.clone().json()) as { outcome?: unknown }).outcome,
      });
      return response;
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  inbox = await startInbox({
    port: 0,
    mailbox: false,
    ratePerSecond: Number.POSITIVE_INFINITY,
    webhookSecret: secret,
    webhooks: [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/duebase-resend-webhook` }],
  });
});
beforeEach(async () => {
  await database.sql`truncate billing.outbox`;
  await database.sql`truncate billing.resend_events, billing.suppressed_addresses, billing.emails`;
  inbox.ledger.clear();
  answers = [];
});
afterAll(async () => {
  await inbox.close();
  await new Promise((resolve) => server.close(resolve));
  await database.drop();
});

/** Sends a mail and waits until all that Resend has to say of it was taken. Returns Resend's id. */
async function send(address: string): Promise<string> {
  const customer = `cus_${address.replace(/\W/g, "")}`;
  await database.sql`
    insert into billing.customers (id, email, created) values (${customer}, ${address}, now()) on conflict do nothing
  `;
  const payload = {
    template: "subscription-paused",
    customer,
    props: { reason: "requested", pausedAt: "2026-11-01T11:00:00Z" },
  };
  await database.sql`select billing_private.enqueue('email', ${`${address}:${Math.random()}`}, ${database.sql.json(payload)}, now())`;
  await deliver({ database, resend: { url: inbox.apiUrl } });
  await inbox.settled();
  return inbox.ledger.mails.at(-1)?.id ?? "";
}
async function email() {
  const [row] =
    await database.sql`select status, resend_id, problem from billing.emails order by id desc limit 1`;
  return row;
}
const suppressed = () => database.sql`select address, reason from billing.suppressed_addresses`;
const alerts = () =>
  database.sql`select payload ->> 'cause' as cause from billing.outbox where kind = 'alert'`;

describe("what Resend reports of a mail", () => {
  it("is kept with it: delivered", async () => {
    const id = await send("ada@example.com");
    expect(await email()).toMatchObject({ status: "delivered", resend_id: id });
    expect(answers).toEqual([
      { status: 200, outcome: "processed" },
      { status: 200, outcome: "processed" },
    ]);
  });

  it("never takes a later state back, in whatever order it comes", async () => {
    const id = await send("order@example.com");
    for (const type of ["email.delivery_delayed", "email.sent"] as const) inbox.report(id, type);
    await inbox.settled();
    expect(await email()).toMatchObject({ status: "delivered" });
    inbox.report(id, "email.complained");
    inbox.report(id, "email.delivered");
    await inbox.settled();
    expect(await email()).toMatchObject({ status: "complained" });
  });

  it("counts once however often it is delivered", async () => {
    const id = await send("twice@example.com");
    const event = inbox.report(id, "email.complained");
    await inbox.settled();
    await database.sql`delete from billing.suppressed_addresses where true`;
    const again = signed(event.id, event.payload);
    expect(await (await handle(again)).json()).toMatchObject({ outcome: "duplicate" });
    expect(await suppressed()).toEqual([]);
  });

  it("as bounced for good suppresses the address, alerts, and stops the next mail to it", async () => {
    await send("gone@example.com");
    inbox.report(inbox.ledger.mails.at(-1)?.id ?? "", "email.bounced");
    await inbox.settled();
    expect(await email()).toMatchObject({
      status: "bounced",
      problem: expect.stringContaining("no such mailbox"),
    });
    expect(await suppressed()).toEqual([{ address: "gone@example.com", reason: "bounced" }]);
    expect(await alerts()).toEqual([{ cause: "email_bounced" }]);
    inbox.ledger.clear();
    await send("gone@example.com");
    expect(inbox.ledger.mails).toEqual([]);
  });

  it("as complained of suppresses the address as well, and alerts", async () => {
    const id = await send("annoyed@example.com");
    inbox.report(id, "email.complained");
    await inbox.settled();
    expect(await suppressed()).toEqual([{ address: "annoyed@example.com", reason: "complained" }]);
    expect(await alerts()).toEqual([{ cause: "email_complained" }]);
  });

  it("is the same in every order, each event received once or twice", async () => {
    const types = [
      "email.sent",
      "email.delivery_delayed",
      "email.delivered",
      "email.bounced",
      "email.complained",
    ];
    const random = new Random(SEED);
    await send("orders@example.com");
    const outcomes = new Set<string>();
    for (let round = 0; round < 40; round++) {
      await database.sql`update billing.emails set status = 'sent', status_at = now()`;
      const told = types.map((type, at) => ({ id: `msg_${round}_${at}`, type, at }));
      for (const { id, type, at } of random.shuffled([...told, ...told.filter(() => random.chance(0.5))])) {
        const report = {
          type,
          created_at: new Date(1_793_000_000_000 + at * 1000).toISOString(),
          data: { email_id: inbox.ledger.mails.at(-1)?.id, bounce: { type: "Transient", message: "full" } },
        };
        await database.sql`select billing.receive_email_report(${id}, ${database.sql.json(report)})`;
      }
      const [kept] =
        await database.sql`select status, status_at from billing.emails order by id desc limit 1`;
      outcomes.add(JSON.stringify(kept));
    }
    expect([...outcomes], `DUEBASE_SEED=${SEED}`).toEqual([
      JSON.stringify({ status: "complained", status_at: new Date(1_793_000_004_000) }),
    ]);
  });

  it("as bounced for now suppresses nothing", async () => {
    const id = await send("full@example.com");
    inbox.report(id, "email.bounced", { type: "Transient", subType: "MailboxFull", message: "full" });
    await inbox.settled();
    expect(await suppressed()).toEqual([]);
    expect(await alerts()).toEqual([]);
  });

  it("ends the wait for a mail whose answer was lost: the tag says which it is", async () => {
    inbox.faults.add({ action: { kind: "reset-after-effect" } });
    await send("lost@example.com");
    const [row] =
      await database.sql`select status, finished_at is not null as finished from billing.outbox where kind = 'email'`;
    expect(row).toEqual({ status: "delivered", finished: true });
    expect(await email()).toMatchObject({ status: "delivered", resend_id: inbox.ledger.mails[0]?.id });
  });

  it("of somebody else's mail is taken and changes nothing", async () => {
    const data = {
      email_id: "00000000-0000-4000-8000-000000000000",
      tags: { duebase_email: "none of ours" },
    };
    const response = await handle(
      signed("msg_stranger", { type: "email.bounced", created_at: new Date().toISOString(), data }),
    );
    expect(await response.json()).toMatchObject({ outcome: "unknown" });
  });

  it("of a mail that was opened, or of a domain, is ignored", async () => {
    const id = await send("reader@example.com");
    inbox.report(id, "email.opened");
    await inbox.settled();
    expect(answers.at(-1)).toEqual({ status: 200, outcome: "ignored" });
    const response = await handle(
      signed("msg_domain", { type: "domain.created", created_at: "x", data: {} }),
    );
    expect(await response.json()).toMatchObject({ outcome: "ignored" });
  });
});

describe("a request", () => {
  const body = { type: "email.sent", created_at: new Date().toISOString(), data: { email_id: "none" } };

  it.each([
    ["without a signature", {}, "signature_missing"],
    [
      "signed with another secret",
      { secret: `whsec_${Buffer.from("forged").toString("base64")}` },
      "signature_mismatch",
    ],
    ["signed for another body", { body: "{}" }, "signature_mismatch"],
    ["signed long ago", { at: new Date(Date.now() - 600_000) }, "signature_too_old"],
    ["signed in the future", { at: new Date(Date.now() + 600_000) }, "signature_too_new"],
    ["with a timestamp that is none", { timestamp: "soon" }, "signature_malformed"],
  ])(
    "%s is refused with 400 and stores nothing",
    async (what, changes: Parameters<typeof signed>[2], code) => {
      const request =
        what === "without a signature"
          ? new Request("http://x", { method: "POST", body: "{}" })
          : signed("msg_x", body, changes);
      const response = await handle(request);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code } });
      expect(await database.sql`select id from billing.resend_events`).toEqual([]);
    },
  );

  it("with any method but POST is 405, and what is no report of a mail is 400", async () => {
    expect((await handle(new Request("http://x"))).status).toBe(405);
    expect((await handle(signed("msg_y", { type: "email.sent", data: {} }))).status).toBe(400);
    expect((await handle(signed("msg_z", ["no event"]))).status).toBe(400);
  });

  it("without a usable secret there is no verifier at all", () => {
    for (const secrets of [[], [""], ["whsec_"], ["whsec_not base64!"]])
      expect(() => createSvixVerifier(secrets)).toThrow();
  });
});

function signed(
  id: string,
  payload: unknown,
  changes: { secret?: string; body?: string; at?: Date; timestamp?: string } = {},
): Request {
  const text = JSON.stringify(payload);
  const seconds = Math.floor((changes.at ?? new Date()).getTime() / 1000);
  const headers = signedHeaders(id, text, keyIn(changes.secret ?? secret), seconds);
  if (changes.timestamp) headers["svix-timestamp"] = changes.timestamp;
  return new Request("http://localhost/duebase-resend-webhook", {
    method: "POST",
    headers,
    body: changes.body ?? text,
  });
}

describe("a report that is sent again by somebody who kept it", () => {
  const now = () => Math.floor(Date.now() / 1000);
  /** A report as Resend signs it, at a time of the test's choosing. */
  async function post(id: string, body: object, at = now()): Promise<[number, unknown]> {
    const text = JSON.stringify(body);
    const headers = signedHeaders(id, text, keyIn(secret), at);
    const response = await handle(
      new Request("https://example.com/duebase-resend-webhook", { method: "POST", headers, body: text }),
    );
    const answer = (await response.json()) as { outcome?: string; error?: { code: string } };
    return [response.status, answer.outcome ?? answer.error?.code];
  }
  const told = (resendId: string, type: string, at: string) => ({
    type,
    created_at: at,
    data: { email_id: resendId, bounce: { type: "Permanent", message: "gone" } },
  });

  it("with its old signature is refused, and within five minutes changes nothing", async () => {
    const id = await send("replayed@example.com");
    const report = told(id, "email.delivery_delayed", "2026-11-01T12:00:00Z");
    expect(await post("msg_old", report, now() - 301)).toEqual([400, "signature_too_old"]);
    expect(await post("msg_early", report, now() + 302)).toEqual([400, "signature_too_new"]);
    expect(await post("msg_once", report)).toEqual([200, "processed"]);
    for (let times = 0; times < 3; times++)
      expect(await post("msg_once", report)).toEqual([200, "duplicate"]);
  });

  it("under another id says nothing new: no second alert, no state taken back", async () => {
    const id = await send("bounced-twice@example.com");
    const bounced = told(id, "email.bounced", "2026-11-01T12:00:00Z");
    for (const message of ["msg_first", "msg_second", "msg_third"])
      expect(await post(message, bounced)).toEqual([200, "processed"]);
    expect(await post("msg_older", told(id, "email.delivered", "2026-11-01T11:00:00Z"))).toEqual([
      200,
      "processed",
    ]);
    expect(await database.sql`select status, status_at from billing.emails where resend_id = ${id}`).toEqual([
      { status: "bounced", status_at: new Date("2026-11-01T12:00:00Z") },
    ]);
    expect(
      await database.sql`select count(*)::integer as alerts from billing.outbox where kind = 'alert'`,
    ).toEqual([{ alerts: 1 }]);
    expect(
      await database.sql`select count(*)::integer as facts from billing.audit_events where action = 'email.address_suppressed' and customer_id = 'cus_bouncedtwiceexamplecom'`,
    ).toEqual([{ facts: 1 }]);
  });

  it("with another body under its id and signature is refused", async () => {
    const id = await send("forged@example.com");
    const text = JSON.stringify(told(id, "email.delivered", "2026-11-01T12:00:00Z"));
    const headers = signedHeaders("msg_signed", text, keyIn(secret), now());
    for (const [body, change] of [
      [text.replace("delivered", "complained"), {}],
      [text, { "svix-id": "msg_other" }],
      [text, { "svix-timestamp": String(now() + 1) }],
    ] as const) {
      const response = await handle(
        new Request("https://example.com/duebase-resend-webhook", {
          method: "POST",
          headers: { ...headers, ...change },
          body,
        }),
      );
      expect(response.status).toBe(400);
    }
  });
});
