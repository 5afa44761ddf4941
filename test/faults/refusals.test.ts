import { createHmac } from "node:crypto";
import { request } from "node:http";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StripeEvent } from "../support/stripe/events.ts";
import { type FaultStack, startFaultStack } from "./fault-stack.ts";
import { invoicePaid } from "./invoice-paid.ts";
import { asDelivered, StripeSender, signatureOf } from "./stripe-sender.ts";

/** Part of every body below. Where it is found afterwards, a body was logged. */
const CANARY = "canary-4000056655665556";
const MEBIBYTE = 1024 * 1024;

let faulty: FaultStack;
let secret: string;
beforeAll(async () => {
  faulty = await startFaultStack();
  secret = faulty.stack.status.STRIPE_WEBHOOK_SECRET;
}, 120_000);
afterAll(() => faulty?.close());

const now = () => Math.floor(Date.now() / 1000);

/** An event with the canary in it and an id of its own. */
function event(tag: string, changes: Record<string, unknown> = {}): StripeEvent & Record<string, unknown> {
  const base = invoicePaid(tag);
  const object = { ...base.data.object, description: CANARY };
  return { ...base, data: { object }, ...changes };
}

function post(body: BodyInit | null, header: string | null, method = "POST"): Promise<Response> {
  const headers = new Headers({ "content-type": "application/json" });
  if (header !== null) headers.set("stripe-signature", header);
  const init: RequestInit & { duplex?: "half" } = { method, headers, body, duplex: "half" };
  return fetch(faulty.webhookUrl, init);
}

const signed = (body: string) => post(body, signatureOf(body, secret));

/** The counts of everything that an accepted event could have left. */
async function stored(): Promise<string> {
  const [row] = await faulty.sql<{ counts: string }[]>`
    select concat_ws(' ',
      (select count(*) from billing.webhook_events), (select count(*) from billing.webhook_duplicates),
      (select count(*) from billing.failed_webhooks), (select count(*) from billing.audit_events)) as counts
  `;
  return row?.counts ?? "";
}

async function expectRefusal(refused: Promise<Response>, status: number, code: string): Promise<void> {
  const before = await stored();
  const response = await refused;
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  const body = (await response.json()) as { error: { code: string; message: string } };
  expect({ status: response.status, code: body.error.code }).toEqual({ status, code });
  expect(body.error.message).not.toBe("");
  expect(JSON.stringify(body)).not.toContain(CANARY);
  expect(await stored()).toBe(before);
}

describe("a method other than POST", () => {
  it.each(["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s is answered 405 with allow", async (method) => {
    const body = method === "GET" || method === "OPTIONS" ? null : JSON.stringify(event(method));
    const answered = post(body, signatureOf(body ?? "", secret), method);
    expect((await answered).headers.get("allow")).toBe("POST");
    await expectRefusal(answered, 405, "method_not_allowed");
  });

  it("HEAD is answered 405 with allow, and no body", async () => {
    const response = await post(null, null, "HEAD");
    expect([response.status, response.headers.get("allow"), await response.text()]).toEqual([
      405,
      "POST",
      "",
    ]);
  });
});

describe("a signature that proves nothing is answered 400, and nothing is stored", () => {
  const body = () => JSON.stringify(event("signature"));

  it.each<[string, (body: string) => string | null, string]>([
    ["none", () => null, "signature_missing"],
    ["not of Stripe's form", () => "sha256=abcdef", "signature_malformed"],
    [
      "without a timestamp",
      (text) => signatureOf(text, secret).replace(/^t=\d+,/, ""),
      "signature_malformed",
    ],
    ["with two timestamps", (text) => `t=1,${signatureOf(text, secret)}`, "signature_malformed"],
    ["forged", () => `t=${now()},v1=${"0".repeat(64)}`, "signature_mismatch"],
    ["made with another secret", (text) => signatureOf(text, "whsec_example_other"), "signature_mismatch"],
    ["made with a blank secret", (text) => signatureOf(text, " "), "signature_mismatch"],
    ["of another body", () => signatureOf("{}", secret), "signature_mismatch"],
    [
      "with its timestamp replaced",
      (text) => signatureOf(text, secret, now() - 900).replace(/\d+/, `${now()}`),
      "signature_mismatch",
    ],
    ["older than 300 s", (text) => signatureOf(text, secret, now() - 310), "signature_too_old"],
    ["newer than 300 s", (text) => signatureOf(text, secret, now() + 310), "signature_too_new"],
  ])("%s", async (_name, header, code) => {
    const text = body();
    await expectRefusal(post(text, header(text)), 400, code);
  });

  it.each([-290, 290])("but %i s from now is still accepted", async (seconds) => {
    const text = JSON.stringify(event(`age${seconds}`));
    expect((await post(text, signatureOf(text, secret, now() + seconds))).status).toBe(200);
  });
});

describe("a body over 1 MiB is answered 413, and nothing is stored", () => {
  const oversized = () => JSON.stringify(event("big", { padding: "x".repeat(MEBIBYTE) }));

  it("with content-length", () => expectRefusal(signed(oversized()), 413, "payload_too_large"));

  it("in chunks, without one", () => {
    const text = oversized();
    const bytes = new TextEncoder().encode(text);
    let offset = 0;
    const chunks = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (offset >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(offset, offset + 65_536));
        offset += 65_536;
      },
    });
    return expectRefusal(post(chunks, signatureOf(text, secret)), 413, "payload_too_large");
  });

  it("and the connection it came on goes on to serve the next ones", async () => {
    const huge = "x".repeat(5 * MEBIBYTE);
    for (let turn = 1; turn <= 4; turn++) {
      const chunked = turn % 2 === 0;
      const refused = post(chunked ? new Blob([huge]).stream() : huge, signatureOf(huge, secret));
      await expectRefusal(refused, 413, "payload_too_large");
    }
  });

  it("that never ends, after the first byte too many", async () => {
    const before = await stored();
    expect(await answerToEndlessBody()).toBe(413);
    expect(await stored()).toBe(before);
  });

  it("but exactly 1 MiB is stored, with content-length or in chunks", async () => {
    for (const tag of ["declared", "chunked"]) {
      const empty = event(tag, { padding: "" });
      const room = MEBIBYTE - Buffer.byteLength(JSON.stringify(empty));
      const text = JSON.stringify({ ...empty, padding: "x".repeat(room) });
      const body = tag === "declared" ? text : new Blob([text]).stream();
      const response = await post(body, signatureOf(text, secret));
      expect(await response.json()).toMatchObject({ received: true, outcome: "processed" });
    }
  });
});

describe("signed, but no event: answered 400, and nothing is stored", () => {
  it.each<[string, string, string]>([
    ["nothing", "", "invalid_json"],
    ["not JSON", `${CANARY} {`, "invalid_json"],
    ["JSON cut off", JSON.stringify(event("cutoff")).slice(0, -20), "invalid_json"],
    ["null", "null", "invalid_event"],
    ["a list of events", JSON.stringify([event("list")]), "invalid_event"],
    [
      "another object",
      JSON.stringify({ id: "cus_example", object: "customer", name: CANARY }),
      "invalid_event",
    ],
    ["no id", JSON.stringify(event("noid", { id: undefined })), "invalid_event"],
    ["a blank id", JSON.stringify(event("blank", { id: "" })), "invalid_event"],
    ["an id of spaces", JSON.stringify(event("spaces", { id: "  " })), "invalid_event"],
    ["an id that is no text", JSON.stringify(event("number", { id: 7 })), "invalid_event"],
    ["no type", JSON.stringify(event("notype", { type: undefined })), "invalid_event"],
    ["no created", JSON.stringify(event("nocreated", { created: undefined })), "invalid_event"],
    ["created as a date", JSON.stringify(event("date", { created: "2026-11-23" })), "invalid_event"],
    ["no object", JSON.stringify(event("nodata", { data: {} })), "invalid_event"],
    [
      "an object that is a list",
      JSON.stringify(event("listed", { data: { object: [CANARY] } })),
      "invalid_event",
    ],
    [
      "nested 100,000 deep",
      `{"id":"evt_deep","object":"event","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
      "too_deeply_nested",
    ],
  ])("%s", (_name, body, code) => expectRefusal(signed(body), 400, code));

  it("bytes that are not UTF-8", async () => {
    const bytes = Buffer.from(JSON.stringify(event("latin", { note: "caf\u00e9" })), "latin1");
    const at = now();
    const hmac = createHmac("sha256", secret).update(`${at}.`).update(bytes).digest("hex");
    await expectRefusal(post(bytes, `t=${at},v1=${hmac}`), 400, "invalid_encoding");
  });
});

describe("what Postgres cannot hold inside a signed event", () => {
  it.each([
    ["a null character", "a\u0000b", "a\ufffdb"],
    ["half a surrogate pair", "a\ud800b", "a\ufffdb"],
  ])("%s is replaced, and the event stored", async (_name, sent, kept) => {
    const one = event(`text${sent.charCodeAt(1)}`, { note: sent });
    expect(await (await signed(JSON.stringify(one))).json()).toEqual({
      received: true,
      outcome: "processed",
    });
    const [row] =
      await faulty.sql`select payload ->> 'note' as note from billing.stripe_events where id = ${one.id}`;
    expect(row?.note).toBe(kept);
  });

  it("a number beyond any column is stored and set aside, not answered with an error for ever", async () => {
    const one = event("number");
    one.data.object = { ...one.data.object, amount_paid: 1e300 };
    expect(await (await signed(JSON.stringify(one))).json()).toEqual({ received: true, outcome: "failed" });
    const [row] = await faulty.sql`select status from billing.failed_webhooks where event_id = ${one.id}`;
    expect(row?.status).toBe("retrying");
  });
});

it("an event of the live mode is stored, quarantined and answered 2xx", async () => {
  const live = event("live", { livemode: true });
  expect(await (await signed(JSON.stringify(live))).json()).toEqual({
    received: true,
    outcome: "quarantined",
  });
});

it("the RPC refuses what is no event with a code of ours, a message and a hint", async () => {
  const { API_URL, SECRET_KEY } = faulty.stack.status;
  const response = await fetch(`${API_URL}/rest/v1/rpc/receive_event`, {
    method: "POST",
    headers: { apikey: SECRET_KEY, "content-type": "application/json", "content-profile": "billing" },
    body: JSON.stringify({ event: { object: "customer" } }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: "DU001",
    message: expect.stringContaining("not a Stripe event"),
    hint: expect.stringContaining("Pass a Stripe event"),
  });
});

it("the RPC refuses a thin event with a code of its own, which says that snapshot payloads are needed", async () => {
  const { API_URL, SECRET_KEY } = faulty.stack.status;
  const response = await fetch(`${API_URL}/rest/v1/rpc/receive_event`, {
    method: "POST",
    headers: { apikey: SECRET_KEY, "content-type": "application/json", "content-profile": "billing" },
    body: JSON.stringify({
      event: { id: "evt_test_thin", object: "v2.core.event", type: "v1.customer.created" },
    }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: "DU031",
    message: expect.stringContaining("snapshot payloads are needed"),
    hint: expect.stringContaining("payload style Snapshot"),
  });
});

it("a database too slow to answer is 503 with retry-after; sent again later, the event counts once", {
  timeout: 60_000,
}, async () => {
  const sender = new StripeSender(faulty.webhookUrl, secret);
  const delivered = asDelivered(event("slow"));
  const blocker = postgres(faulty.stack.status.DB_URL, { max: 1, onnotice: () => {} });
  try {
    await blocker`begin`;
    await blocker`lock table billing.webhook_events in access exclusive mode`;
    expect(await sender.post(delivered)).toMatchObject({
      status: 503,
      outcome: "database_unavailable",
      retryAfter: expect.stringMatching(/^\d+$/),
    });
    await blocker`rollback`;
  } finally {
    await blocker.end({ timeout: 1 });
  }
  await sender.deliver([delivered], { inFlight: 1, within: 30_000 });
  const [row] = await faulty.sql`
    select count(*)::integer as audited from billing.audit_events where event_id = ${delivered.id}
  `;
  expect(row).toEqual({ audited: 1 });
});

// Last, because it reads what all of the above have left in the logs.
it("no log of any part has a body, a secret or a signature in it", async () => {
  const text = await faulty.logged();
  // The logs must have something of the requests. Otherwise nothing was checked.
  expect(text).toMatch(/"outcome":"signature_mismatch","status":400/);
  expect(text).toMatch(/"event":"evt_live/);
  for (const private_ of [CANARY, secret, faulty.stack.status.SECRET_KEY, "v1=", "stripe-signature"]) {
    expect(text.split("\n").filter((line) => line.includes(private_))).toEqual([]);
  }
});

/** The status of a request whose body goes on until it is answered. */
function answerToEndlessBody(): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const piece = Buffer.alloc(65_536, "x");
    const outgoing = request(faulty.webhookUrl, {
      method: "POST",
      headers: { "stripe-signature": `t=${now()},v1=${"0".repeat(64)}` },
      timeout: 15_000,
    });
    const write = () => {
      if (!outgoing.destroyed) outgoing.write(piece, () => setImmediate(write));
    };
    outgoing.once("response", (response) => {
      resolve(response.statusCode);
      outgoing.destroy();
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer to a body without an end")));
    outgoing.once("error", reject);
    write();
  });
}
