import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hours, noon, noonPlus, openPost, type Post } from "./post.ts";

let post: Post;
const enqueue: Post["enqueue"] = (...args) => post.enqueue(...args);
const deliverAt: Post["deliverAt"] = (...args) => post.deliverAt(...args);
const states = () => post.states();

beforeAll(async () => {
  post = await openPost();
});
beforeEach(() => post.reset());
afterAll(() => post.close());

describe("an email", () => {
  it("is written in the customer's language, kept, and sent once with text, tags and its key", async () => {
    await enqueue("paused:1");
    const { counts } = await deliverAt(noonPlus(1));
    expect(counts.delivered).toBe(1);
    const [mail] = post.inbox.ledger.mails;
    expect(mail).toMatchObject({
      to: ["ada@example.com"],
      from: "Example <billing@example.com>",
      idempotencyKey: "paused:1",
    });
    const [kept] = await post.database.sql`select * from billing.emails`;
    expect(kept).toMatchObject({
      status: "sent",
      locale: "de-AT",
      resend_id: mail?.id,
      unknown_since: null,
      sent_at: noonPlus(1),
    });
    expect(mail?.tags).toEqual({ duebase_email: kept?.tag, template: "subscription-paused" });
    const shown = post.inbox.emails().find(({ id }) => id === mail?.id);
    expect([shown?.subject, shown?.html, shown?.text]).toEqual([kept?.subject, kept?.html, kept?.text]);
    expect(kept?.text).toContain("Ada Example");
    expect((await deliverAt(hours(1))).counts.delivered).toBe(0);
    expect(post.inbox.ledger.mails).toHaveLength(1);
  });

  it("goes out from the sender and with the answer address that settings name", async () => {
    await post.database.sql`
      update billing.settings set email_from = 'Shop <shop@example.com>', email_reply_to = 'help@example.com' where id
    `;
    await enqueue("sender:1");
    await deliverAt(noonPlus(1));
    expect(post.inbox.ledger.mails[0]?.from).toBe("Shop <shop@example.com>");
    expect(post.inbox.emails().at(-1)?.reply_to).toEqual(["help@example.com"]);
  });

  it("waits for a sender where there is none, and job_problems says so until there is", async () => {
    await enqueue("no-sender:1");
    await deliverAt(noonPlus(1), { sender: null });
    expect(await states()).toMatchObject([{ status: "pending", attempts: 0 }]);
    const [problem] = await post.database.sql`select problem from billing.job_problems where job = 'email'`;
    expect(problem?.problem).toContain("email_from");
    await deliverAt(hours(1));
    expect(await states()).toMatchObject([{ status: "delivered" }]);
    expect(await post.database.sql`select job from billing.job_problems`).toEqual([]);
  });

  it("waits some minutes for a customer who is not known yet, and then is not sent", async () => {
    await enqueue("stranger:1", { customer: "cus_late" });
    await enqueue("stranger:2", { customer: "cus_never" });
    await deliverAt(noonPlus(5));
    expect(await states()).toMatchObject([
      { status: "pending", attempts: 0 },
      { status: "pending", attempts: 0 },
    ]);
    await post.database
      .sql`insert into billing.customers (id, email, created) values ('cus_late', 'late@example.com', ${noon})`;
    await deliverAt(noonPlus(120));
    expect(post.inbox.ledger.count({ to: "late@example.com" })).toBe(1);
    await deliverAt(noonPlus(700));
    expect(await states()).toMatchObject([{ status: "delivered" }, { status: "canceled" }]);
  });

  it.each([
    ["without an address", "no_address", `update billing.customers set email = ' ' where id = 'cus_ada'`],
    [
      "who is deleted",
      "customer_deleted",
      `update billing.customers set deleted_at = now() where id = 'cus_ada'`,
    ],
    [
      "whose address is suppressed",
      "address_suppressed",
      `insert into billing.suppressed_addresses values ('ada@example.com', 'bounced', now())`,
    ],
    [
      "while its kind is switched off",
      "switched_off",
      `update billing.settings set emails_off = '{subscription-paused}' where id`,
    ],
  ])("is not sent to a customer %s, and one audit event says why", async (_who, reason, change) => {
    await post.database.sql.unsafe(change);
    await enqueue(`skipped:${reason}`);
    for (const time of [noonPlus(1), hours(2)]) await deliverAt(time);
    expect(post.inbox.ledger.mails).toEqual([]);
    expect(await states()).toMatchObject([{ status: "canceled", email: null }]);
    const audited = await post.database.sql`
      select detail from billing.audit_events where action = 'email.skipped' and subject_id = ${`skipped:${reason}`}
    `;
    expect(audited).toEqual([{ detail: { template: "subscription-paused", reason } }]);
  });

  it("that cannot be rendered is dead with the field that is wrong, and holds up no other", async () => {
    await enqueue("poison", { props: { reason: "because", pausedAt: "2026-11-01T11:00:00Z" } });
    await enqueue("fine");
    await deliverAt(noonPlus(1));
    expect(await states()).toMatchObject([
      { status: "dead", problem: "invalid_props" },
      { status: "delivered", email: "sent" },
    ]);
    const [row] = await post.database
      .sql`select last_error ->> 'message' as message from billing.outbox where status = 'dead'`;
    expect(row?.message).toContain("reason");
    expect(await post.database.sql`select dedupe_key from billing.outbox where kind = 'alert'`).toHaveLength(
      1,
    );
  });
});

describe("when Resend", () => {
  it.each([
    ["cuts the connection", { kind: "reset-after-effect" } as const],
    ["never answers", { kind: "hang-after-effect" } as const],
    ["says 500", { kind: "error-after-effect", status: 500 } as const],
  ])(
    "%s after it took the mail, the same bytes go out under the same key and arrive once",
    async (what, action) => {
      const key = `unknown:${what}`;
      await enqueue(key);
      post.inbox.faults.add({ action });
      await deliverAt(noonPlus(1), { resend: { url: post.inbox.apiUrl, timeoutMs: 2_000 } });
      expect(await states()).toMatchObject([{ status: "pending", email: "pending" }]);
      // What the mail would be written as now has changed; what is kept has not.
      await post.database
        .sql`update billing.customers set name = 'Somebody Else', email = 'elsewhere@example.com' where id = 'cus_ada'`;
      await deliverAt(noonPlus(600));
      expect(await states()).toMatchObject([{ status: "delivered", attempts: 2, email: "sent" }]);
      expect(post.inbox.ledger.mails).toHaveLength(1);
      const keys = new Set(post.inbox.ledger.requests.map((request) => request.idempotencyKey));
      expect([...keys]).toEqual([key]);
      const [kept] = await post.database.sql`select unknown_since, resend_id from billing.emails`;
      expect(kept).toMatchObject({ unknown_since: null, resend_id: post.inbox.ledger.mails[0]?.id });
    },
  );

  it("never said what became of a mail, it is not sent again after Resend has forgotten the key", async () => {
    await enqueue("forgotten:1");
    post.inbox.faults.add({ action: { kind: "reset-after-effect" } });
    await deliverAt(noonPlus(1));
    await deliverAt(hours(25));
    expect(post.inbox.ledger.mails).toHaveLength(1);
    expect(await states()).toMatchObject([{ status: "dead", problem: "outcome_unknown" }]);

    // Only a person, who has looked it up, sends it again.
    const [row] = await post.database.sql`select id from billing.outbox where kind = 'email'`;
    await post.database.sql`select billing.replay_outbox(${row?.id ?? 0}, ${hours(26)})`;
    await deliverAt(hours(26));
    expect(post.inbox.ledger.mails.map((mail) => mail.idempotencyKey)).toEqual([
      "forgotten:1",
      "forgotten:1:1",
    ]);
    expect(await states()).toMatchObject([{ status: "delivered", email: "sent" }]);
  });

  it("is away for most of a day, it costs a mail nothing: it leaves under its key once Resend is back", async () => {
    await enqueue("away:1");
    const away = { resend: { url: "http://127.0.0.1:9" } };
    for (let hour = 0; hour < 22; hour++)
      for (const part of [1, 1800]) await deliverAt(noonPlus(hour * 3600 + part), away);
    expect(await states()).toMatchObject([{ status: "pending", email: "pending" }]);
    await deliverAt(hours(23));
    expect(await states()).toMatchObject([{ status: "delivered", email: "sent" }]);
    expect(post.inbox.ledger.mails.map((mail) => mail.idempotencyKey)).toEqual(["away:1"]);
  });

  it("refused every attempt for longer than a day, the mail may still be sent: nothing ever was", async () => {
    await enqueue("refused:1");
    for (const time of [noonPlus(1), hours(5), hours(12)]) {
      post.inbox.faults.add({ action: { kind: "error", status: 429, headers: { "retry-after": "5" } } });
      await deliverAt(time);
    }
    await deliverAt(hours(30));
    expect(await states()).toMatchObject([{ status: "delivered", email: "sent" }]);
    expect(post.inbox.ledger.mails).toHaveLength(1);
  });

  it("says 429, it is left alone as long as it asks, and what it was not asked about costs no attempt", async () => {
    await enqueue("limited", { count: 4 });
    post.inbox.faults.add({
      action: { kind: "error", status: 429, name: "rate_limit_exceeded", headers: { "retry-after": "40" } },
    });
    const { counts } = await deliverAt(noonPlus(10), { budget: { claimLimit: 1 } });
    expect(counts).toMatchObject({ delivered: 0, failed: 1 });
    expect(post.inbox.ledger.requests).toHaveLength(1);
    expect((await states()).map(({ attempts }) => attempts)).toEqual([1, 0, 0, 0]);
    expect((await deliverAt(noonPlus(11))).counts.delivered).toBe(3);
    expect((await deliverAt(noonPlus(60))).counts.delivered).toBe(1);
    expect(post.inbox.ledger.mails).toHaveLength(4);
  });

  it("fails by itself, its retry-after is honoured", async () => {
    await enqueue("busy:1");
    post.inbox.faults.add({ action: { kind: "error", status: 503, headers: { "retry-after": "300" } } });
    await deliverAt(noonPlus(1));
    expect((await deliverAt(noonPlus(299))).counts.delivered).toBe(0);
    expect((await deliverAt(noonPlus(320))).counts.delivered).toBe(1);
  });

  it("is working on the same key, the mail is tried again later", async () => {
    await enqueue("busy-key:1");
    let release = () => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    post.inbox.faults.add({ action: { kind: "wait", until } });
    await deliverAt(noonPlus(1), { resend: { url: post.inbox.apiUrl, timeoutMs: 2_000 } });
    await deliverAt(noonPlus(120));
    expect(await states()).toMatchObject([{ status: "pending", problem: "concurrent_idempotent_requests" }]);
    release();
    await expect.poll(() => post.inbox.ledger.mails.length, { timeout: 10_000 }).toBe(1);
    await deliverAt(hours(1));
    expect(await states()).toMatchObject([{ status: "delivered" }]);
    expect(post.inbox.ledger.mails).toHaveLength(1);
  });

  it("knows the key with another body, the mail is dead and nothing more is sent", async () => {
    await enqueue("other-body:1");
    post.inbox.faults.add({ action: { kind: "reset-after-effect" } });
    await deliverAt(noonPlus(1));
    await post.database.sql`update billing.emails set subject = 'Changed by hand'`;
    await deliverAt(noonPlus(600));
    expect(await states()).toMatchObject([{ status: "dead", problem: "invalid_idempotent_request" }]);
    expect(post.inbox.ledger.mails).toHaveLength(1);
  });

  it("will not have the mail as it is, it dies at once with Resend's reason", async () => {
    await enqueue("invalid:1");
    post.inbox.faults.add({
      action: { kind: "error", status: 422, name: "validation_error", message: "Invalid `to` field." },
    });
    await deliverAt(noonPlus(1));
    expect(await states()).toMatchObject([{ status: "dead", attempts: 1, problem: "validation_error" }]);
  });

  it("is down, it is asked three times a run and the rest of the mails costs no attempt", async () => {
    await enqueue("down", { count: 8 });
    const down = { resend: { url: "http://127.0.0.1:9" }, budget: { claimLimit: 1 } };
    const { counts } = await deliverAt(noonPlus(60), down);
    expect(counts).toMatchObject({ failed: 3 });
    expect((await states()).map(({ attempts }) => attempts)).toEqual([1, 1, 1, 0, 0, 0, 0, 0]);
    // What failed singly is tried again singly; what is claimed beyond the third is handed back.
    const again = await deliverAt(noonPlus(300), { ...down, budget: { claimLimit: 100 } });
    expect(again.counts).toMatchObject({ failed: 7, handed_back: 1 });
  });
});

describe("a run", () => {
  it("spends no more than its share of rendering and hands the rest back", async () => {
    await enqueue("many", { count: 6 });
    const first = await deliverAt(noonPlus(60), { budget: { renderMs: 0.001 } });
    expect(first.counts).toMatchObject({ delivered: 1, handed_back: 5 });
    expect((await deliverAt(noonPlus(60))).counts.delivered).toBe(5);
  });

  it("whose lease was taken over meanwhile does not send", async () => {
    await enqueue("taken:1");
    const { counts } = await deliverAt(noonPlus(1), {
      reach: async (point) => {
        if (point === "email_rendered")
          await post.database.sql`update billing.outbox set claim_id = gen_random_uuid()`;
      },
    });
    expect(counts).toMatchObject({ delivered: 0, lost: 1 });
    expect(post.inbox.ledger.mails).toEqual([]);
  });
});
