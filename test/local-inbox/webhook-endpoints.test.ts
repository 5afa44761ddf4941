import { Resend } from "resend";
import { expect, test } from "vitest";
import { dataOf, mail, startEndpoint, startHarness, webhookSecret } from "./support/harness.ts";

test("a webhook is made, shown with its secret, changed and removed, as the SDK asks", async () => {
  const { resend } = await startHarness();
  const made = dataOf(
    await resend.webhooks.create({ endpoint: "https://example.com/hook", events: ["email.sent"] }),
  );
  expect(made.signing_secret).toMatch(/^whsec_/);
  expect(dataOf(await resend.webhooks.get(made.id))).toMatchObject({
    endpoint: "https://example.com/hook",
    status: "enabled",
    events: ["email.sent"],
    signing_secret: made.signing_secret,
  });
  const listed = dataOf(await resend.webhooks.list()).data;
  expect(listed).toMatchObject([{ id: made.id, endpoint: "https://example.com/hook" }]);
  expect(listed[0]).not.toHaveProperty("signing_secret");
  await resend.webhooks.update(made.id, { status: "disabled", events: ["email.sent", "email.bounced"] });
  expect(dataOf(await resend.webhooks.get(made.id))).toMatchObject({
    status: "disabled",
    events: ["email.sent", "email.bounced"],
  });
  dataOf(await resend.webhooks.remove(made.id));
  expect((await resend.webhooks.get(made.id)).error).toMatchObject({ name: "not_found" });
});

test("each webhook gets the events it asked for, signed with its own secret", async () => {
  const configured = await startEndpoint();
  const { inbox, resend } = await startHarness({ webhooks: [{ url: configured.url }] });
  const own = await startEndpoint();
  const made = dataOf(await resend.webhooks.create({ endpoint: own.url, events: ["email.delivered"] }));
  expect(made.signing_secret).not.toBe(webhookSecret);
  await resend.emails.send(mail());
  await inbox.settled();
  expect(configured.types()).toEqual(["email.sent", "email.delivered"]);
  // The endpoint verifies with the configured secret, and this is not it.
  expect(own.received).toEqual([]);
  expect(own.refused).toHaveLength(1 + inbox.webhooks.options.retryMilliseconds.length);
});

test("domains are listed with their status", async () => {
  const { resend } = await startHarness({ domains: [{ name: "example.com", status: "pending" }] });
  const [domain] = dataOf(await resend.domains.list()).data;
  expect(domain).toMatchObject({ name: "example.com", status: "pending" });
  expect(dataOf(await resend.domains.get(domain?.id ?? ""))).toMatchObject({ name: "example.com" });
});

test("a key with sending access sends, and is refused for everything else", async () => {
  const { inbox } = await startHarness({ sendingKeys: ["re_example_sending"] });
  const resend = new Resend("re_example_sending", { baseUrl: inbox.apiUrl });
  dataOf(await resend.emails.send(mail()));
  for (const answer of [
    await resend.domains.list(),
    await resend.webhooks.list(),
    await resend.emails.list(),
  ]) {
    expect(answer.error).toMatchObject({ name: "restricted_api_key", statusCode: 401 });
  }
});
