import { expect, test } from "vitest";
import { bounces } from "../../scripts/local/inbox/core/outcomes.ts";
import { clockAt, dataOf, mail, startHarness } from "./support/harness.ts";

test("an address that bounced for good gets no more mail, whatever its spelling", async () => {
  const { inbox, resend } = await startHarness({ now: clockAt().now });
  const { id } = dataOf(await resend.emails.send(mail({ to: "ada@example.com" })));
  inbox.report(id, "email.bounced");
  const second = dataOf(await resend.emails.send(mail({ to: "Ada <ADA@example.com>" })));
  expect(dataOf(await resend.emails.get(second.id)).last_event).toBe("suppressed");
  expect(inbox.ledger.mails.map((sent) => sent.id)).toEqual([id]);
  expect(dataOf(await resend.suppressions.get("ada@example.com"))).toEqual({
    object: "suppression",
    id: expect.any(String),
    email: "ada@example.com",
    origin: "bounce",
    source_id: id,
    created_at: "2026-03-01T09:00:00.000Z",
  });
});

test("a complaint suppresses, a passing bounce does not", async () => {
  const { inbox, resend } = await startHarness();
  await resend.emails.send(mail({ to: "complained@example.com" }));
  await resend.emails.send(mail({ to: "bounced+transient@example.com" }));
  await resend.emails.send(mail({ to: "bounced+undetermined@example.com" }));
  const { id } = dataOf(await resend.emails.send(mail({ to: "ada@example.com" })));
  inbox.report(id, "email.bounced", bounces.transient);
  const { data } = dataOf(await resend.suppressions.list());
  expect(data.map(({ email, origin }) => [email, origin])).toEqual([["complained@example.com", "complaint"]]);
});

test("Resend's own test addresses bounce every time", async () => {
  const { inbox, resend } = await startHarness();
  for (const to of ["bounced@resend.dev", "complained@resend.dev"]) {
    await resend.emails.send(mail({ to }));
    await resend.emails.send(mail({ to }));
  }
  expect(inbox.suppressions.all()).toEqual([]);
  expect(inbox.ledger.count()).toBe(4);
});

test("an address can be put on the list by hand, and taken off again", async () => {
  const { inbox, resend } = await startHarness();
  const { id } = dataOf(await resend.suppressions.add({ email: "ada+news@example.com" }));
  expect(dataOf(await resend.suppressions.add({ email: "ADA+news@example.com" })).id).toBe(id);
  await resend.emails.send(mail({ to: "ada+news@example.com" }));
  expect(inbox.ledger.count()).toBe(0);

  expect(dataOf(await resend.suppressions.list({ origin: "manual" })).data).toHaveLength(1);
  expect(dataOf(await resend.suppressions.list({ origin: "bounce" })).data).toEqual([]);
  expect(dataOf(await resend.suppressions.remove("ada+news@example.com"))).toEqual({
    object: "suppression",
    id,
    deleted: true,
  });
  await resend.emails.send(mail({ to: "ada+news@example.com" }));
  expect(inbox.ledger.count()).toBe(1);
  expect((await resend.suppressions.get(id)).error?.name).toBe("not_found");
});

test("what is no address cannot be put on the list", async () => {
  const { resend } = await startHarness();
  expect((await resend.suppressions.add({ email: "nobody" })).error?.statusCode).toBe(422);
});
