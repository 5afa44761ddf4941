import { expect, test } from "vitest";
import { clientOf, clockAt, dataOf, mail, post, startHarness } from "./support/harness.ts";

test("an email is accepted, shown again byte by byte, and counted once in the ledger", async () => {
  const clock = clockAt();
  const { inbox, resend } = await startHarness({ now: clock.now });
  const html = '<p style="color:#111">Grüße &amp; €49.00</p>\r\n';
  const email = mail({
    html,
    text: "Grüße & €49.00\r\n",
    replyTo: "help@northlight.example",
    cc: ["cy@example.com"],
  });
  const tags = [
    { name: "kind", value: "receipt" },
    { name: "case_id", value: "42" },
  ];
  const { id } = dataOf(await resend.emails.send({ ...email, tags }));

  expect(dataOf(await resend.emails.get(id))).toEqual({
    object: "email",
    id,
    message_id: expect.stringContaining(id),
    from: "Northlight <billing@northlight.example>",
    to: ["ada@example.com"],
    cc: ["cy@example.com"],
    bcc: null,
    reply_to: ["help@northlight.example"],
    subject: "Your receipt",
    html,
    text: "Grüße & €49.00\r\n",
    tags,
    created_at: "2026-03-01T09:00:00.000Z",
    scheduled_at: null,
    topic_id: null,
    last_event: "delivered",
  });
  expect(inbox.ledger.mails).toEqual([
    {
      seq: 1,
      id,
      from: "Northlight <billing@northlight.example>",
      to: ["ada@example.com"],
      subject: "Your receipt",
      tags: { kind: "receipt", case_id: "42" },
      idempotencyKey: null,
      batchIndex: null,
      at: clock.now(),
      request: inbox.ledger.requests[0]?.id,
    },
  ]);
  expect(inbox.ledger.count({ to: "ada@example.com", subject: /receipt/, tags: { case_id: "42" } })).toBe(1);
  expect(inbox.ledger.count({ tags: { case_id: "43" } })).toBe(0);
  expect(inbox.ledger.count({ subject: "receipt" })).toBe(0);
});

test("a list goes newest first, page by page, and shows neither bodies nor tags", async () => {
  const { resend } = await startHarness();
  const ids: string[] = [];
  for (const name of ["a", "b", "c", "d", "e"]) {
    const { id } = dataOf(
      await resend.emails.send(mail({ subject: name, tags: [{ name: "t", value: name }] })),
    );
    ids.push(id);
  }
  const first = dataOf(await resend.emails.list({ limit: 2 }));
  expect(first.data.map((email) => email.subject)).toEqual(["e", "d"]);
  expect(first.has_more).toBe(true);
  expect(first.data[0]).not.toHaveProperty("html");
  expect(first.data[0]).not.toHaveProperty("text");
  expect(first.data[0]).not.toHaveProperty("tags");

  const last = dataOf(await resend.emails.list({ limit: 3, after: ids[3] ?? "" }));
  expect(last.data.map((email) => email.subject)).toEqual(["c", "b", "a"]);
  expect(last.has_more).toBe(false);

  const back = dataOf(await resend.emails.list({ limit: 2, before: ids[0] ?? "" }));
  expect(back.data.map((email) => email.subject)).toEqual(["c", "b"]);
  expect(back.has_more).toBe(true);
});

test("a list asked for wrongly says so", async () => {
  const { resend } = await startHarness();
  for (const limit of [0, 101, 1.5]) {
    const { error } = await resend.emails.list({ limit });
    expect(error).toMatchObject({ statusCode: 422, name: "validation_error" });
  }
  const { error } = await resend.emails.list({ after: "nothing" });
  expect(error).toMatchObject({ statusCode: 422, name: "invalid_parameter" });
});

test("an email that is not there is a 404, and what is no id a 422", async () => {
  const { resend } = await startHarness();
  const absent = await resend.emails.get("00000000-0000-4000-8000-000000000000");
  expect(absent.error).toEqual({ statusCode: 404, name: "not_found", message: "Email not found" });
  const nonsense = await resend.emails.get("nonsense");
  expect(nonsense.error).toMatchObject({ statusCode: 422, name: "invalid_parameter" });
});

test("only the one API key is let in, and a refused request sends nothing", async () => {
  const { inbox } = await startHarness();
  const { error } = await clientOf(inbox, "re_someone_else").emails.send(mail());
  expect(error).toMatchObject({ statusCode: 403, name: "invalid_api_key" });
  const without = await fetch(`${inbox.apiUrl}/emails`, { method: "POST", body: "{}" });
  expect(without.status).toBe(401);
  expect(await without.json()).toMatchObject({ statusCode: 401, name: "missing_api_key" });
  expect(inbox.ledger.mails).toEqual([]);
  expect(inbox.ledger.requestsWhere({ errorCode: "invalid_api_key" })).toHaveLength(1);
});

test("without a key of its own an inbox takes every key that looks like one of Resend's", async () => {
  const { inbox } = await startHarness({ apiKey: undefined });
  dataOf(await clientOf(inbox, "re_anybody").emails.send(mail()));
  const { error } = await clientOf(inbox, "sk_test_not_resend").emails.send(mail());
  expect(error?.name).toBe("invalid_api_key");
});

const good = { from: "a@northlight.example", to: "b@example.com", subject: "Hello", text: "Hello" };

test.each([
  ["no sender", { ...good, from: undefined }, "missing_required_field"],
  ["no recipient", { ...good, to: undefined }, "missing_required_field"],
  ["an empty list of recipients", { ...good, to: [] }, "missing_required_field"],
  ["no subject", { ...good, subject: undefined }, "missing_required_field"],
  ["neither html nor text", { ...good, text: undefined }, "missing_required_field"],
  ["a sender that is no address", { ...good, from: "Northlight" }, "invalid_from_address"],
  ["a recipient that is no address", { ...good, to: ["b@example.com", "nobody"] }, "validation_error"],
  ["a recipient outside ASCII", { ...good, to: "jürgen@example.com" }, "validation_error"],
  [
    "a line break in an address",
    { ...good, to: "Eve\r\nBcc: x@example.com <b@example.com>" },
    "validation_error",
  ],
  ["more than 50 recipients", { ...good, to: Array(51).fill("b@example.com") }, "validation_error"],
  ["a tag with a space", { ...good, tags: [{ name: "kind", value: "a receipt" }] }, "validation_error"],
  [
    "a tag that is too long",
    { ...good, tags: [{ name: "kind", value: "x".repeat(257) }] },
    "validation_error",
  ],
  ["a header that is no string", { ...good, headers: { "X-Number": 1 } }, "validation_error"],
  ["an attachment of nothing", { ...good, attachments: [{ filename: "a.pdf" }] }, "invalid_attachment"],
  [
    "an attachment of another machine",
    { ...good, attachments: [{ path: "https://example.com/a.pdf" }] },
    "invalid_attachment",
  ],
  ["an attachment that is no URL", { ...good, attachments: [{ path: "/etc/hosts" }] }, "invalid_attachment"],
  ["a time to send at", { ...good, scheduled_at: "2030-01-01T00:00:00Z" }, "validation_error"],
  ["a stored template", { ...good, template: { id: "welcome" } }, "validation_error"],
  ["a list instead of an email", [good], "validation_error"],
])("%s is a 422 in Resend's shape, and sends nothing", async (_what, body, name) => {
  const { inbox } = await startHarness();
  const response = await post(inbox, "/emails", body);
  expect(response.status).toBe(422);
  expect(await response.json()).toEqual({ statusCode: 422, name, message: expect.any(String) });
  expect(inbox.ledger.mails).toEqual([]);
});

test("the form of an address that Resend takes is taken", async () => {
  const { inbox } = await startHarness();
  for (const to of ["b@example.com", "Bea <b@example.com>", '"Bea, of Books" <b+books@mail.example.com>']) {
    expect((await post(inbox, "/emails", { ...good, to })).status).toBe(200);
  }
  expect(inbox.ledger.mails).toHaveLength(3);
});

test("a body that is not JSON is a 400", async () => {
  const { inbox } = await startHarness();
  const response = await post(inbox, "/emails", "{");
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ name: "validation_error" });
});

test("a field that Resend does not have either is ignored and noted", async () => {
  const lines: string[] = [];
  const { inbox } = await startHarness({ log: (line) => lines.push(line) });
  expect((await post(inbox, "/emails", { ...good, replyTo: "c@example.com" })).status).toBe(200);
  expect(inbox.ledger.requests[0]?.ignored).toEqual(["replyTo"]);
  expect(lines).toEqual(["POST /emails ignored replyTo"]);
});

test("an endpoint that is not there is a 404, a wrong method a 405", async () => {
  const { inbox, resend } = await startHarness();
  expect((await resend.apiKeys.list()).error).toMatchObject({ statusCode: 404, name: "not_found" });
  const wrong = await resend.emails.update({
    id: "00000000-0000-4000-8000-000000000000",
    scheduledAt: "later",
  });
  expect(wrong.error).toMatchObject({ statusCode: 405, name: "method_not_allowed" });
  expect(inbox.ledger.requests.map(({ path }) => path)).toEqual([
    "/api-keys",
    "/emails/00000000-0000-4000-8000-000000000000",
  ]);
});

test("two inboxes side by side know nothing of each other", async () => {
  const [one, two] = [await startHarness(), await startHarness()];
  const { id } = dataOf(await one.resend.emails.send(mail()));
  expect((await two.resend.emails.get(id)).error?.name).toBe("not_found");
  expect([one.inbox.ledger.count(), two.inbox.ledger.count()]).toEqual([1, 0]);
});

test("a port that is taken is an error, not another port", async () => {
  const { inbox } = await startHarness();
  await expect(startHarness({ port: inbox.port })).rejects.toThrow("EADDRINUSE");
});
