import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hours, noon, noonPlus, openPost, type Post } from "./post.ts";

let post: Post;
const batch = { path: "/emails/batch" };

beforeAll(async () => {
  post = await openPost();
});
beforeEach(() => post.reset());
afterAll(() => post.close());

/** Requests so far: path, key, and how many mails left by it. */
function requests() {
  const { ledger } = post.inbox;
  return ledger.requests.map(({ id, path, idempotencyKey }) => ({
    path,
    key: idempotencyKey,
    mails: ledger.mails.filter((mail) => mail.request === id).length,
  }));
}
async function batchKey(): Promise<string> {
  const rows = await post.database.sql<{ batch_id: string }[]>`
    select distinct batch_id from billing.emails where batch_id is not null
  `;
  expect(rows).toHaveLength(1);
  return `batch:${rows[0]?.batch_id}`;
}
/** One more customer, with an address that Resend may not like. */
async function customer(id: string, email: string) {
  await post.database
    .sql`insert into billing.customers (id, email, created) values (${id}, ${email}, ${noon})`;
}
async function outcomes() {
  return (await post.states()).map(({ status, problem }) => (problem ? `${status} ${problem}` : status));
}

describe("mails that fall due together", () => {
  it("go out in one request, in the order they fall due, each with its own tag and id", async () => {
    await post.enqueue("many", { count: 5 });
    expect((await post.deliverAt(noonPlus(60))).counts.delivered).toBe(5);
    expect(requests()).toEqual([{ path: "/emails/batch", key: await batchKey(), mails: 5 }]);
    const kept = await post.database.sql`
      select e.resend_id as id, e.tag, e.batch_position::int as place
      from billing.emails as e join billing.outbox as o on o.id = e.outbox_id order by o.run_after
    `;
    expect(kept.map(({ place }) => place)).toEqual([1, 2, 3, 4, 5]);
    expect(post.inbox.ledger.mails.map(({ id, tags }) => ({ id, tag: tags.duebase_email }))).toEqual(
      kept.map(({ id, tag }) => ({ id, tag })),
    );
  });

  it("are a hundred to a request, and what is left goes in the next", async () => {
    await post.enqueue("hundred", { count: 101 });
    await post.deliverAt(hours(1), { budget: { claimLimit: 500 } });
    expect(requests().map(({ path, mails }) => [path, mails])).toEqual([
      ["/emails/batch", 100],
      ["/emails", 1],
    ]);
  });

  it("are as many as a run may hand to Resend, and the rest waits for the next", async () => {
    await post.enqueue("budget", { count: 7 });
    const budget = { claimLimit: 3, mails: 5 };
    expect((await post.deliverAt(noonPlus(60), { budget })).counts.delivered).toBe(6);
    expect((await post.deliverAt(noonPlus(60), { budget })).counts.delivered).toBe(1);
  });

  it("do without the one that cannot be written", async () => {
    await post.enqueue("good", { count: 2 });
    await post.enqueue("poison", { props: { reason: "because" } });
    await post.deliverAt(noonPlus(60));
    expect(await outcomes()).toEqual(["delivered", "delivered", "dead invalid_props"]);
    expect(requests()).toMatchObject([{ path: "/emails/batch", mails: 2 }]);
  });
});

describe("a batch", () => {
  it.each([
    ["the connection is cut", { kind: "reset-after-effect" } as const],
    ["no answer comes", { kind: "hang-after-effect" } as const],
    ["the answer is 500", { kind: "error-after-effect", status: 500 } as const],
    ["the answer says nothing", { kind: "error", status: 200, body: '{"data":[]}' } as const],
  ])("that left while %s is sent again whole, the same bytes under the same key", async (_what, action) => {
    await post.enqueue("twice", { count: 3 });
    post.inbox.faults.add({ match: batch, action });
    await post.deliverAt(noonPlus(60), { resend: { url: post.inbox.apiUrl, timeoutMs: 2_000 } });
    expect((await post.states()).map(({ status, email }) => [status, email])).toEqual(
      Array(3).fill(["pending", "pending"]),
    );
    // What is owed since, and what would be written now, makes no difference.
    await post.enqueue("later", { count: 2 });
    await post.database
      .sql`update billing.customers set name = 'Somebody Else', email = 'else@example.com' where id = 'cus_ada'`;
    await post.deliverAt(noonPlus(600));
    expect(await outcomes()).toEqual(Array(5).fill("delivered"));
    expect(post.inbox.ledger.count({ to: "ada@example.com" })).toBe(3);
    expect(post.inbox.ledger.count({ to: "else@example.com" })).toBe(2);
    const [first, ...others] = requests().map(({ key }) => key);
    expect(others.filter((key) => key === first)).toHaveLength(1);
  });

  it("waits as one: one time for all of it, and one request", async () => {
    await post.enqueue("one", { count: 4 });
    for (const [hour, status] of [429, 503].entries()) {
      post.inbox.faults.add({ match: batch, action: { kind: "error", status } });
      await post.deliverAt(hours(1 + hour));
      const times = await post.database
        .sql`select distinct run_after from billing.outbox where kind = 'email'`;
      expect(times).toHaveLength(1);
    }
    await post.deliverAt(hours(3));
    expect(requests().map(({ mails }) => mails)).toEqual([0, 0, 4]);
    expect(new Set(requests().map(({ key }) => key)).size).toBe(1);
  });

  it("is left alone as long as Resend asks", async () => {
    await post.enqueue("asked", { count: 2 });
    post.inbox.faults.add({
      match: batch,
      action: { kind: "error", status: 429, headers: { "retry-after": "300" } },
    });
    await post.deliverAt(noonPlus(60));
    expect((await post.deliverAt(noonPlus(350))).counts.delivered).toBe(0);
    expect((await post.deliverAt(noonPlus(390))).counts.delivered).toBe(2);
  });

  it("whose key is being worked on is tried again later", async () => {
    await post.enqueue("busy", { count: 2 });
    let release = () => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    post.inbox.faults.add({ match: batch, action: { kind: "wait", until } });
    await post.deliverAt(noonPlus(60), { resend: { url: post.inbox.apiUrl, timeoutMs: 2_000 } });
    await post.deliverAt(noonPlus(200));
    expect(await outcomes()).toEqual(Array(2).fill("pending concurrent_idempotent_requests"));
    release();
    await expect.poll(() => post.inbox.ledger.mails.length, { timeout: 10_000 }).toBe(2);
    await post.deliverAt(hours(1));
    expect(await outcomes()).toEqual(["delivered", "delivered"]);
    expect(post.inbox.ledger.mails).toHaveLength(2);
  });

  it("whose key Resend knows with other bytes is dead, and nothing more is sent", async () => {
    await post.enqueue("other", { count: 2 });
    post.inbox.faults.add({ match: batch, action: { kind: "reset-after-effect" } });
    await post.deliverAt(noonPlus(60));
    await post.database.sql`update billing.emails set subject = 'Changed by hand' where batch_position = 2`;
    await post.deliverAt(noonPlus(600));
    expect(await outcomes()).toEqual(Array(2).fill("dead invalid_idempotent_request"));
    expect(post.inbox.ledger.mails).toHaveLength(2);
  });

  it("of unknown outcome is not sent again once Resend has forgotten the key; each mail says how to look it up", async () => {
    await post.enqueue("forgotten", { count: 2 });
    post.inbox.faults.add({ match: batch, action: { kind: "reset-after-effect" } });
    await post.deliverAt(noonPlus(60));
    await post.deliverAt(hours(25));
    expect(await outcomes()).toEqual(Array(2).fill("dead outcome_unknown"));
    expect(post.inbox.ledger.mails).toHaveLength(2);
    const dead = await post.database.sql`
      select o.id, position(e.tag::text in o.last_error ->> 'message') > 0 as named
      from billing.outbox as o join billing.emails as e on e.outbox_id = o.id order by o.id
    `;
    expect(dead.map(({ named }) => named)).toEqual([true, true]);

    // Only a person, who has looked it up, sends one of them again: by itself, under a key of its own.
    await post.database.sql`select billing.replay_outbox(${dead[1]?.id}, ${hours(26)})`;
    await post.deliverAt(hours(26));
    expect(requests().at(-1)).toEqual({ path: "/emails", key: "forgotten:1:1", mails: 1 });
    expect(await outcomes()).toEqual(["dead outcome_unknown", "delivered"]);
  });

  it("refused for longer than a day may still be sent: nothing of it ever was", async () => {
    await post.enqueue("limited", { count: 2 });
    for (const time of [noonPlus(60), hours(12), hours(24)]) {
      post.inbox.faults.add({ match: batch, action: { kind: "error", status: 429 } });
      await post.deliverAt(time);
    }
    await post.deliverAt(hours(40));
    expect(await outcomes()).toEqual(["delivered", "delivered"]);
  });
});

describe("one mail of a batch", () => {
  it("that Resend will not have dies with its reason, and the others go out", async () => {
    await customer("cus_wrong", "nobody");
    await post.enqueue("first", { count: 2 });
    await post.enqueue("wrong", { customer: "cus_wrong" });
    await post.enqueue("last");
    const { counts } = await post.deliverAt(noonPlus(60));
    expect(counts).toMatchObject({ failed: 0, dead: 1 });
    expect(await outcomes()).toEqual(["delivered", "delivered", "dead validation_error", "delivered"]);
    const [dead] = await post.database.sql`
      select last_error ->> 'message' as reason from billing.outbox where dedupe_key = 'wrong'
    `;
    expect(dead?.reason).toContain("`to`");
    expect(await post.database.sql`select from billing.outbox where kind = 'alert'`).toHaveLength(1);
  });

  it("holds up none where Resend refuses the batch as a whole: they go one by one, each for its own verdict", async () => {
    await customer("cus_wrong", "nobody");
    await post.enqueue("good", { count: 2 });
    await post.enqueue("wrong", { customer: "cus_wrong" });
    post.inbox.faults.add({
      match: batch,
      action: { kind: "error", status: 422, name: "validation_error", message: "Invalid batch." },
    });
    await post.deliverAt(noonPlus(60));
    expect(await outcomes()).toEqual(["delivered", "delivered", "dead validation_error"]);
    expect(requests().map(({ path, key }) => `${path} ${key}`)).toEqual([
      expect.stringContaining("/emails/batch batch:"),
      "/emails good",
      "/emails good:1",
      "/emails wrong",
    ]);
  });

  it("is not sent by itself where an earlier attempt may have sent it with the batch", async () => {
    await post.enqueue("doubt", { count: 2 });
    post.inbox.faults.add({ match: batch, action: { kind: "reset" } });
    await post.deliverAt(noonPlus(60));
    post.inbox.faults.add({ match: batch, action: { kind: "error", status: 422, name: "validation_error" } });
    await post.deliverAt(noonPlus(600));
    expect(await outcomes()).toEqual(Array(2).fill("dead validation_error"));
    expect(requests().map(({ path }) => path)).toEqual(["/emails/batch", "/emails/batch"]);
  });

  it("that was reported on before the answer is no reason to forget the others", async () => {
    await post.enqueue("reported", { count: 3 });
    post.inbox.faults.add({ match: batch, action: { kind: "reset-after-effect" } });
    await post.deliverAt(noonPlus(60));
    const [first] = post.inbox.ledger.mails;
    const report = {
      type: "email.bounced",
      created_at: noonPlus(90).toISOString(),
      data: { email_id: first?.id, tags: first?.tags, bounce: { type: "Transient", message: "full" } },
    };
    await post.database
      .sql`select billing.receive_email_report('msg_1', ${post.database.sql.json(report)}, ${noonPlus(90)})`;
    expect((await post.states())[0]).toMatchObject({ status: "delivered", email: "bounced" });
    await post.deliverAt(noonPlus(600));
    expect((await post.states()).map(({ status, email }) => `${status} ${email}`)).toEqual([
      "delivered bounced",
      "delivered sent",
      "delivered sent",
    ]);
    expect(post.inbox.ledger.mails).toHaveLength(3);
  });

  it("may be held by another worker, who sends the whole of it too, and it leaves once", async () => {
    await post.enqueue("shared", { count: 4 });
    post.inbox.faults.add({ match: batch, action: { kind: "reset-after-effect" } });
    await post.deliverAt(noonPlus(60));
    const budget = { claimLimit: 2 };
    // One claims two of them and is overtaken, between its answer and its note, by one that claims the others.
    const { counts } = await post.deliverAt(noonPlus(600), {
      budget,
      reach: async (point) => {
        if (point === "email_sent") await post.deliverAt(noonPlus(600), { budget });
      },
    });
    expect(counts.lost).toBe(0);
    expect(await outcomes()).toEqual(Array(4).fill("delivered"));
    expect(post.inbox.ledger.mails).toHaveLength(4);
  });

  it("that died with the batch, never sent, is replayed by itself, and one that may have been with the batch", async () => {
    for (const [key, action] of [
      ["refused", { kind: "error", status: 404 }],
      ["unknown", { kind: "error", status: 500 }],
    ] as const) {
      await post.reset();
      await post.enqueue(key, { count: 2 });
      await post.database.sql`update billing.outbox set attempts = billing_private.max_attempts() - 1`;
      post.inbox.faults.add({ match: batch, action });
      await post.deliverAt(noonPlus(60));
      expect((await post.states()).map(({ status }) => status)).toEqual(["dead", "dead"]);
      await post.database.sql`
        select billing.replay_outbox(id, ${noonPlus(90)}) from billing.outbox where dedupe_key = ${key}
      `;
      await post.deliverAt(noonPlus(90));
      expect(requests().at(-1)).toMatchObject(
        key === "refused" ? { path: "/emails", mails: 1 } : { path: "/emails/batch", mails: 2 },
      );
      // Resend's answer is known to be about both.
      expect((await post.states()).map(({ status }) => status)).toEqual([
        "delivered",
        key === "refused" ? "dead" : "delivered",
      ]);
    }
  });
});

it("a worker whose claims were all taken over sends no batch, and changes nothing by what it says of one", async () => {
  await post.enqueue("lost", { count: 3 });
  const takeOver = () =>
    post.database.sql`update billing.outbox set claim_id = gen_random_uuid() where kind = 'email'`;
  let kept: unknown;
  for (const point of ["email_rendered", "email_sent"]) {
    await post.reset();
    await post.enqueue("lost", { count: 3 });
    const { counts } = await post.deliverAt(noonPlus(60), {
      reach: async (reached) => {
        if (reached !== point) return;
        await takeOver();
        kept = await post.database.sql`select * from billing.emails order by id`;
      },
    });
    expect(counts).toMatchObject({ delivered: 0, lost: 3 });
    expect(await post.database.sql`select * from billing.emails order by id`).toEqual(kept);
    expect((await post.states()).map(({ status }) => status)).toEqual(Array(3).fill("claimed"));
    expect(post.inbox.ledger.mails).toHaveLength(point === "email_sent" ? 3 : 0);
  }
});
