import { expect, test } from "vitest";
import { bounces } from "../../scripts/local/inbox/core/outcomes.ts";
import { clockAt, dataOf, mail, startEndpoint, startHarness, webhookSecret } from "./support/harness.ts";

const quick = { retryMilliseconds: [5, 10, 20], concurrency: 1 };

/** An inbox with one endpoint, which takes events one at a time. */
async function observed() {
  const endpoint = await startEndpoint();
  const clock = clockAt();
  const webhooks = [{ url: endpoint.url }];
  const harness = await startHarness({ webhooks, delivery: quick, now: clock.now });
  return { ...harness, endpoint, clock };
}

test("what becomes of an email is told in signed events that the SDK verifies, with the email's tags", async () => {
  const { inbox, resend, endpoint } = await observed();
  const tags = [{ name: "case_id", value: "42" }];
  const { id } = dataOf(await resend.emails.send(mail({ tags })));
  await inbox.settled();
  expect(endpoint.refused).toEqual([]);
  expect(endpoint.types()).toEqual(["email.sent", "email.delivered"]);
  expect(endpoint.received[1]?.event).toEqual({
    type: "email.delivered",
    created_at: "2026-03-01T09:00:00.000Z",
    data: {
      email_id: id,
      message_id: expect.stringContaining(id),
      from: "Northlight <billing@northlight.example>",
      to: ["ada@example.com"],
      subject: "Your receipt",
      created_at: "2026-03-01T09:00:00.000Z",
      tags: { case_id: "42" },
    },
  });
});

test.each([
  ["delivered@resend.dev", ["sent", "delivered"], "delivered"],
  ["delivered+label@resend.dev", ["sent", "delivered"], "delivered"],
  ["bounced@resend.dev", ["sent", "bounced"], "bounced"],
  ["Bea <Bounced+b@example.com>", ["sent", "bounced"], "bounced"],
  ["complained@resend.dev", ["sent", "delivered", "complained"], "complained"],
  ["delayed@example.com", ["sent", "delivery_delayed", "delivered"], "delivered"],
  ["suppressed@resend.dev", ["suppressed"], "suppressed"],
  ["failed@example.com", ["failed"], "failed"],
  ["bounced.but@example.com", ["sent", "delivered"], "delivered"],
])("an email to %s has the outcome %j", async (to, events, lastEvent) => {
  const { inbox, resend, endpoint } = await observed();
  const { id } = dataOf(await resend.emails.send(mail({ to })));
  await inbox.settled();
  expect(endpoint.types()).toEqual(events.map((name) => `email.${name}`));
  expect(dataOf(await resend.emails.get(id)).last_event).toBe(lastEvent);
  expect(inbox.ledger.count()).toBe(events.includes("sent") ? 1 : 0);
});

test.each([
  ["bounced@resend.dev", "Permanent"],
  ["bounced+transient@resend.dev", "Transient"],
  ["bounced+undetermined@example.com", "Undetermined"],
])("a bounce of %s is %s", async (to, type) => {
  const { inbox, resend, endpoint } = await observed();
  await resend.emails.send(mail({ to }));
  await inbox.settled();
  expect(endpoint.received[1]?.event).toMatchObject({
    type: "email.bounced",
    data: { bounce: { type, subType: expect.any(String), message: expect.any(String) } },
  });
});

test("an email to several has the worst of their outcomes", async () => {
  const { inbox, resend, endpoint } = await observed();
  await resend.emails.send(mail({ to: ["ada@example.com", "complained@resend.dev", "bounced@resend.dev"] }));
  await inbox.settled();
  expect(endpoint.types()).toEqual(["email.sent", "email.bounced"]);
});

test("an event that is not answered with 2xx comes again under its id, signed anew, until it is", async () => {
  const { inbox, resend, endpoint } = await observed();
  endpoint.answer = (event, attempt) => {
    if (event.type === "email.sent") return 204;
    return [500, 302, 200][attempt - 1] ?? 200;
  };
  await resend.emails.send(mail());
  await inbox.settled();
  expect(endpoint.types()).toEqual(["email.sent", "email.delivered", "email.delivered", "email.delivered"]);
  expect(new Set(endpoint.received.slice(1).map(({ id }) => id)).size).toBe(1);
  expect(inbox.webhooks.attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
    [1, 204],
    [1, 500],
    [2, 302],
    [3, 200],
  ]);
});

test("an event is given up after the last of its retries", async () => {
  const { inbox, resend, endpoint } = await observed();
  endpoint.answer = () => 503;
  await resend.emails.send(mail({ to: "failed@example.com" }));
  await inbox.settled();
  expect(endpoint.received).toHaveLength(1 + quick.retryMilliseconds.length);
});

test("an endpoint that cannot be reached, or takes too long, has not answered", async () => {
  const slow = await startEndpoint();
  slow.answer = () => new Promise(() => {});
  const { inbox, resend } = await startHarness({
    webhooks: [{ url: "http://127.0.0.1:1/hook" }, { url: slow.url }],
    delivery: { retryMilliseconds: [], timeoutMilliseconds: 300 },
  });
  await resend.emails.send(mail({ to: "failed@example.com" }));
  await inbox.settled();
  expect(inbox.webhooks.attempts.map(({ status }) => status)).toEqual([null, null]);
});

test("events can be kept back, and come out in an order and number that a seed fixes", async () => {
  const { inbox, resend, endpoint } = await observed();
  inbox.webhooks.hold();
  for (const subject of ["one", "two", "three"]) await resend.emails.send(mail({ subject }));
  await inbox.settled();
  expect(endpoint.received).toEqual([]);
  const inOrder = inbox.webhooks.held.map(({ id }) => id);
  expect(inOrder).toHaveLength(6);

  inbox.webhooks.release({ shuffle: 7, copies: 2 });
  await inbox.settled();
  const got = endpoint.received.map(({ id }) => id);
  expect(got).toHaveLength(12);
  expect(new Set(got)).toEqual(new Set(inOrder));
  expect(got).not.toEqual(inOrder.flatMap((id) => [id, id]));
  expect(inbox.webhooks.attempts.map(({ attempt }) => attempt)).toEqual(Array(12).fill(1));

  const order = (ids: string[], among: string[]) => ids.map((id) => among.indexOf(id));
  const again = await observed();
  again.inbox.webhooks.hold();
  for (const subject of ["one", "two", "three"]) await again.resend.emails.send(mail({ subject }));
  const othersInOrder = again.inbox.webhooks.held.map(({ id }) => id);
  again.inbox.webhooks.release({ shuffle: 7, copies: 2 });
  await again.inbox.settled();
  const othersGot = again.endpoint.received.map(({ id }) => id);
  expect(order(othersGot, othersInOrder)).toEqual(order(got, inOrder));
});

test("an event can be lost, and sent again by hand under the same id", async () => {
  const { inbox, resend, endpoint } = await observed();
  inbox.webhooks.drop();
  await resend.emails.send(mail({ to: "failed@example.com" }));
  inbox.webhooks.stopDropping();
  await inbox.settled();
  expect(endpoint.received).toEqual([]);
  const [lost] = inbox.webhooks.events;
  inbox.webhooks.resend(lost?.id ?? "");
  inbox.webhooks.resend(lost?.id ?? "");
  await inbox.settled();
  expect(endpoint.received.map(({ id }) => id)).toEqual([lost?.id, lost?.id]);
  expect(() => inbox.webhooks.resend("msg_unknown")).toThrow("msg_unknown");
});

test("anything can happen to an email later, by the clock of that moment", async () => {
  const { inbox, resend, endpoint, clock } = await observed();
  const { id } = dataOf(await resend.emails.send(mail()));
  clock.advance(5000);
  inbox.report(id, "email.bounced", bounces.transient);
  await inbox.settled();
  expect(endpoint.received[2]?.event).toMatchObject({
    type: "email.bounced",
    created_at: "2026-03-01T09:00:05.000Z",
    data: { email_id: id, bounce: { type: "Transient" } },
  });
  expect(dataOf(await resend.emails.get(id)).last_event).toBe("bounced");
  expect(() => inbox.report("unknown", "email.delivered")).toThrow("no email unknown");
});

test("several endpoints get every event, and one that fails holds up no other", async () => {
  const [healthy, ill] = [await startEndpoint(), await startEndpoint()];
  ill.answer = () => 500;
  const { inbox, resend } = await startHarness({
    webhooks: [{ url: ill.url }, { url: healthy.url }],
    delivery: quick,
  });
  await resend.emails.send(mail());
  await inbox.settled();
  expect(healthy.types()).toEqual(["email.sent", "email.delivered"]);
  expect(ill.received).toHaveLength(2 * (1 + quick.retryMilliseconds.length));
});

test("closing ends retries that would come much later", async () => {
  const endpoint = await startEndpoint();
  endpoint.answer = () => 500;
  const { inbox, resend } = await startHarness({
    webhooks: [{ url: endpoint.url }],
    delivery: { retryMilliseconds: [600_000] },
  });
  await resend.emails.send(mail());
  await expect.poll(() => inbox.webhooks.attempts.length, { timeout: 10_000 }).toBe(2);
  await inbox.close();
  expect(inbox.webhooks.idle).toBe(true);
});

test("a secret that no receiver could use is refused at the start", async () => {
  for (const secret of ["whsec_", "whsec_not base64!", webhookSecret.slice("whsec_".length), ""]) {
    await expect(startHarness({ webhookSecret: secret })).rejects.toThrow("whsec_");
  }
});

test("without a secret of its own an inbox makes one that can be used", async () => {
  const { inbox } = await startHarness({ webhookSecret: undefined });
  expect(inbox.webhookSecret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
});
