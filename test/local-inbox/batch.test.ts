import { expect, test } from "vitest";
import { dataOf, mail, startHarness } from "./support/harness.ts";

const wrong = mail({ to: "nobody" });

test("a batch of 100 goes out in its order, with an id each", async () => {
  const { inbox, resend } = await startHarness();
  const batch = Array.from({ length: 100 }, (_, index) => mail({ subject: `Number ${index}` }));
  const { data } = dataOf(await resend.batch.send(batch, { idempotencyKey: "batch" }));
  expect(new Set(data.map(({ id }) => id)).size).toBe(100);
  expect(inbox.ledger.mails.map(({ subject }) => subject)).toEqual(batch.map(({ subject }) => subject));
  expect(inbox.ledger.mails.map(({ id }) => id)).toEqual(data.map(({ id }) => id));
  expect(inbox.ledger.mails.map(({ batchIndex }) => batchIndex)).toEqual(batch.map((_, index) => index));
  expect(inbox.ledger.count({ idempotencyKey: "batch" })).toBe(100);
});

test.each([0, 101])("a batch of %i is refused", async (length) => {
  const { inbox, resend } = await startHarness();
  const { error } = await resend.batch.send(Array.from({ length }, () => mail()));
  expect(error).toMatchObject({ statusCode: 422, name: "validation_error" });
  expect(inbox.ledger.mails).toEqual([]);
});

test("one bad email in a batch and none goes out", async () => {
  const { inbox, resend } = await startHarness();
  const { error } = await resend.batch.send([mail(), wrong, mail()]);
  expect(error).toMatchObject({ statusCode: 422, name: "validation_error" });
  expect(inbox.ledger.mails).toEqual([]);
});

test("a permissive batch sends the good ones and lists the bad ones by their place", async () => {
  const { inbox, resend } = await startHarness();
  const { data, errors } = dataOf(
    await resend.batch.send([mail({ subject: "First" }), wrong, mail({ subject: "Third" })], {
      batchValidation: "permissive",
    }),
  );
  expect(data).toHaveLength(2);
  expect(errors).toEqual([{ index: 1, message: expect.stringContaining("`to`") }]);
  expect(inbox.ledger.mails.map(({ subject }) => subject)).toEqual(["First", "Third"]);
});

test("a batch takes no attachments", async () => {
  const { inbox, resend } = await startHarness();
  const email = { ...mail(), attachments: [{ filename: "a.txt", content: "aGk=" }] };
  const { error } = await resend.batch.send([email]);
  expect(error).toMatchObject({ statusCode: 422, message: expect.stringContaining("attachments") });
  expect(inbox.ledger.mails).toEqual([]);
});

test("a batch repeated under its key gives the same ids and sends nothing again", async () => {
  const { inbox, resend } = await startHarness();
  const batch = [mail({ subject: "One" }), mail({ subject: "Two" })];
  const first = dataOf(await resend.batch.send(batch, { idempotencyKey: "batch" }));
  const again = dataOf(await resend.batch.send(batch, { idempotencyKey: "batch" }));
  expect(again).toEqual(first);
  expect(inbox.ledger.mails).toHaveLength(2);
  const { error } = await resend.batch.send([...batch].reverse(), { idempotencyKey: "batch" });
  expect(error).toMatchObject({ statusCode: 409, name: "invalid_idempotent_request" });
  expect(inbox.ledger.mails).toHaveLength(2);
});
