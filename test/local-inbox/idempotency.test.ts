import { expect, test } from "vitest";
import { clockAt, dataOf, hour, mail, post, startHarness } from "./support/harness.ts";

const key = { idempotencyKey: "payment-failed/case-42/day-0" };

test("the same email under the same key is answered the same and sent once", async () => {
  const { inbox, resend } = await startHarness();
  const first = dataOf(await resend.emails.send(mail(), key));
  const again = dataOf(await resend.emails.send(mail(), key));
  expect(again).toEqual(first);
  expect(inbox.ledger.count(key)).toBe(1);
  expect(inbox.ledger.requests.map(({ replayed }) => replayed)).toEqual([false, true]);
});

test("without a key the same email is sent as often as it is asked for", async () => {
  const { inbox, resend } = await startHarness();
  await resend.emails.send(mail());
  await resend.emails.send(mail());
  expect(inbox.ledger.count()).toBe(2);
});

test("another body under the same key is a 409, be it one byte, and sends nothing", async () => {
  const { inbox, resend } = await startHarness();
  await resend.emails.send(mail(), key);
  const { error } = await resend.emails.send(mail({ text: "Thank you!" }), key);
  expect(error).toMatchObject({ statusCode: 409, name: "invalid_idempotent_request" });
  const otherPath = await resend.batch.send([mail()], key);
  expect(otherPath.error).toMatchObject({ statusCode: 409, name: "invalid_idempotent_request" });
  expect(inbox.ledger.count()).toBe(1);
});

test("the same bytes sent to another path under the same key are another request", async () => {
  const { inbox } = await startHarness();
  const email = { from: "a@northlight.example", to: "b@example.com", subject: "Hello", text: "Hello" };
  const headers = { "idempotency-key": "one" };
  expect((await post(inbox, "/emails", email, headers)).status).toBe(200);
  expect((await post(inbox, "/emails/batch", email, headers)).status).toBe(409);
});

test("a key lives 24 hours by the inbox's clock, then it is as good as new", async () => {
  const clock = clockAt();
  const { inbox, resend } = await startHarness({ now: clock.now });
  const first = dataOf(await resend.emails.send(mail(), key));
  clock.advance(24 * hour - 1);
  expect(dataOf(await resend.emails.send(mail(), key))).toEqual(first);
  clock.advance(1);
  expect(dataOf(await resend.emails.send(mail(), key))).not.toEqual(first);
  expect(inbox.ledger.count(key)).toBe(2);
  dataOf(await resend.emails.send(mail(), key));
  expect(inbox.ledger.count(key)).toBe(2);
});

test("a replay does not make a key live longer", async () => {
  const clock = clockAt();
  const { inbox, resend } = await startHarness({ now: clock.now });
  await resend.emails.send(mail(), key);
  clock.advance(23 * hour);
  await resend.emails.send(mail(), key);
  clock.advance(hour);
  await resend.emails.send(mail(), key);
  expect(inbox.ledger.count(key)).toBe(2);
});

test("while the first request is in progress the second is a 409 that may come again", async () => {
  const { inbox, resend } = await startHarness();
  let finish = (): void => {};
  const until = new Promise<void>((resolve) => {
    finish = resolve;
  });
  inbox.faults.add({ action: { kind: "wait", until } });
  const first = resend.emails.send(mail(), key);
  await expect.poll(() => inbox.faults.pending, { timeout: 10_000 }).toBe(0);

  const second = await resend.emails.send(mail(), key);
  expect(second.error).toMatchObject({ statusCode: 409, name: "concurrent_idempotent_requests" });
  const different = await resend.emails.send(mail({ text: "Other" }), key);
  expect(different.error).toMatchObject({ statusCode: 409, name: "invalid_idempotent_request" });
  const batch = await resend.batch.send([mail()], key);
  expect(batch.error?.statusCode).toBe(409);

  finish();
  const { id } = dataOf(await first);
  expect(dataOf(await resend.emails.send(mail(), key))).toEqual({ id });
  expect(inbox.ledger.count()).toBe(1);
});

test("ten at once under one key: one mail, and every answer is its id or a 409", async () => {
  const { inbox, resend } = await startHarness();
  inbox.faults.add({ action: { kind: "delay", milliseconds: 50 } });
  const results = await Promise.all(Array.from({ length: 10 }, () => resend.emails.send(mail(), key)));
  const ids = results.flatMap(({ data }) => (data ? [data.id] : []));
  const errors = results.flatMap(({ error }) => (error ? [error.name] : []));
  expect(new Set(ids).size).toBe(1);
  expect(new Set(errors)).toEqual(new Set(["concurrent_idempotent_requests"]));
  expect(inbox.ledger.count()).toBe(1);
});

test("a request that failed leaves its key as good as new", async () => {
  const { inbox, resend } = await startHarness();
  const refused = await resend.emails.send(mail({ to: "nobody" }), key);
  expect(refused.error?.statusCode).toBe(422);
  inbox.faults.add({ action: { kind: "error", status: 500 } });
  expect((await resend.emails.send(mail(), key)).error?.statusCode).toBe(500);
  dataOf(await resend.emails.send(mail(), key));
  expect(inbox.ledger.count(key)).toBe(1);
});

test("a key has 1 to 256 characters", async () => {
  const { inbox, resend } = await startHarness();
  dataOf(await resend.emails.send(mail(), { idempotencyKey: "k".repeat(256) }));
  const long = await resend.emails.send(mail(), { idempotencyKey: "k".repeat(257) });
  expect(long.error).toMatchObject({ statusCode: 400, name: "invalid_idempotency_key" });
  // The SDK sends no header for an empty key.
  const email = { from: "a@northlight.example", to: "b@example.com", subject: "Hello", text: "Hello" };
  const empty = await post(inbox, "/emails", email, { "idempotency-key": "" });
  expect(await empty.json()).toMatchObject({ name: "invalid_idempotency_key" });
  expect(inbox.ledger.count()).toBe(1);
});
