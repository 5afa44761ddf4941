import { expect, test } from "vitest";
import type { Inbox } from "../../scripts/local/inbox/server.ts";
import { dataOf, mail, startHarness } from "./support/harness.ts";

const key = { idempotencyKey: "receipt/in_42" };
/** The fault has hit: its request has arrived. */
const reached = (inbox: Inbox) => expect.poll(() => inbox.faults.pending, { timeout: 10_000 }).toBe(0);
const networkFailure = { name: "application_error", statusCode: null };

test("a fault hits the next so many matching requests and no others", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({
    match: { path: "/emails/batch" },
    times: 2,
    skip: 1,
    action: { kind: "error", status: 503 },
  });
  dataOf(await resend.emails.send(mail()));
  dataOf(await resend.batch.send([mail()]));
  expect((await resend.batch.send([mail()])).error).toMatchObject({
    statusCode: 503,
    name: "internal_server_error",
  });
  expect((await resend.batch.send([mail()])).error?.statusCode).toBe(503);
  dataOf(await resend.batch.send([mail()]));
  expect(inbox.faults.pending).toBe(0);
  expect(inbox.ledger.count()).toBe(3);
});

test("an outage lasts until it is cleared, for replays too", async () => {
  const { inbox, resend } = await startHarness();
  dataOf(await resend.emails.send(mail(), key));
  inbox.faults.add({ times: Number.POSITIVE_INFINITY, action: { kind: "error", status: 500 } });
  for (let round = 0; round < 5; round += 1) {
    expect((await resend.emails.send(mail(), key)).error?.statusCode).toBe(500);
  }
  inbox.faults.clear();
  dataOf(await resend.emails.send(mail(), key));
  expect(inbox.ledger.count()).toBe(1);
});

test("an error can carry Resend's names and headers, or be no JSON at all", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({
    action: { kind: "error", status: 429, name: "daily_quota_exceeded", headers: { "retry-after": "3600" } },
  });
  const quota = await resend.emails.send(mail());
  expect(quota.error).toMatchObject({ statusCode: 429, name: "daily_quota_exceeded" });
  expect(quota.headers?.["retry-after"]).toBe("3600");
  inbox.faults.add({ action: { kind: "error", status: 429 } });
  expect((await resend.emails.send(mail())).error?.name).toBe("rate_limit_exceeded");
  inbox.faults.add({ action: { kind: "error", status: 502, body: "<html>Bad Gateway</html>" } });
  expect((await resend.emails.send(mail())).error).toMatchObject({
    statusCode: 502,
    name: "application_error",
  });
  expect(inbox.ledger.count()).toBe(0);
});

test("a cut connection does nothing, and the caller cannot tell", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({ action: { kind: "reset" } });
  expect((await resend.emails.send(mail(), key)).error).toMatchObject(networkFailure);
  expect(inbox.ledger.count()).toBe(0);
  dataOf(await resend.emails.send(mail(), key));
  expect(inbox.ledger.count()).toBe(1);
});

test.each([
  ["cut after accepting", { kind: "reset-after-effect" }],
  ["an error after accepting", { kind: "error-after-effect", status: 500 }],
] as const)(
  "%s: the mail is out, and the key finds it instead of sending it again",
  async (_what, action) => {
    const { inbox, resend } = await startHarness();
    inbox.faults.add({ action });
    expect((await resend.emails.send(mail(), key)).error).not.toBeNull();
    expect(inbox.ledger.count(key)).toBe(1);
    const { id } = dataOf(await resend.emails.send(mail(), key));
    expect(inbox.ledger.mails.map((sent) => sent.id)).toEqual([id]);
  },
);

test("a request that hangs has done nothing when the caller gives up", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({ action: { kind: "hang" } });
  const patience = new AbortController();
  const sending = resend.emails.send(mail(), { ...key, signal: patience.signal });
  await reached(inbox);
  patience.abort();
  expect((await sending).error).toMatchObject(networkFailure);
  expect(inbox.ledger.count()).toBe(0);
  // The server learns of it a moment later; until then the key is in progress.
  await expect
    .poll(async () => (await resend.emails.send(mail(), key)).error, { timeout: 10_000 })
    .toBeNull();
  expect(inbox.ledger.count()).toBe(1);
});

test("a request that hangs after accepting has sent its mail", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({ action: { kind: "hang-after-effect" } });
  const patience = new AbortController();
  const sending = resend.emails.send(mail(), { ...key, signal: patience.signal });
  await reached(inbox);
  patience.abort();
  expect((await sending).error).toMatchObject(networkFailure);
  expect(inbox.ledger.count()).toBe(1);
  expect(inbox.ledger.requests[0]?.status).toBeNull();
  dataOf(await resend.emails.send(mail(), key));
  expect(inbox.ledger.count()).toBe(1);
});

test("a caller who gives up on a slow request does not stop it", async () => {
  const { inbox, resend } = await startHarness();
  let finish = (): void => {};
  const until = new Promise<void>((resolve) => {
    finish = resolve;
  });
  inbox.faults.add({ action: { kind: "wait", until } });
  const patience = new AbortController();
  const sending = resend.emails.send(mail(), { ...key, signal: patience.signal });
  await reached(inbox);
  patience.abort();
  expect((await sending).error).toMatchObject(networkFailure);
  finish();
  await expect.poll(() => inbox.ledger.count(key), { timeout: 10_000 }).toBe(1);
});

test("an inbox closes while requests hang and wait", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({ action: { kind: "hang" } });
  inbox.faults.add({ action: { kind: "delay", milliseconds: 600_000 } });
  inbox.faults.add({ action: { kind: "wait", until: new Promise(() => {}) } });
  const sending = [1, 2, 3].map(() => resend.emails.send(mail()));
  await reached(inbox);
  await inbox.close();
  for (const { error } of await Promise.all(sending)) expect(error).toMatchObject(networkFailure);
  expect(inbox.ledger.count()).toBe(0);
});
