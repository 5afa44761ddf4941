import { expect, test } from "vitest";
import { clientOf, clockAt, dataOf, mail, startHarness } from "./support/harness.ts";

/** An inbox that takes `ratePerSecond` requests, and a way to let time go by for its limit. */
async function limited(ratePerSecond: number | undefined) {
  let milliseconds = 100;
  const harness = await startHarness({ ratePerSecond, elapsed: () => milliseconds });
  const pass = (more: number): void => {
    milliseconds += more;
  };
  return { ...harness, pass };
}

test("a request beyond the limit is a 429 that says when to come again, and then goes through", async () => {
  const { inbox, resend, pass } = await limited(2);
  const results = await Promise.all([1, 2, 3].map(() => resend.emails.send(mail())));
  const refused = results.find(({ error }) => error !== null);
  expect(refused?.error).toMatchObject({ statusCode: 429, name: "rate_limit_exceeded" });
  expect(refused?.headers).toMatchObject({
    "ratelimit-limit": "2",
    "ratelimit-remaining": "0",
    "ratelimit-reset": "1",
    "retry-after": "1",
  });
  expect(inbox.ledger.count()).toBe(2);

  pass(999);
  expect((await resend.emails.send(mail())).error?.statusCode).toBe(429);
  pass(1);
  const retried = await resend.emails.send(mail());
  dataOf(retried);
  expect(retried.headers).toMatchObject({ "ratelimit-remaining": "1" });
  expect(retried.headers).not.toHaveProperty("retry-after");
});

test("a batch counts as one request, reading counts as well, and who is not let in is not counted", async () => {
  const { inbox, resend } = await limited(3);
  await clientOf(inbox, "re_someone_else").emails.send(mail());
  const first = await resend.batch.send(Array.from({ length: 50 }, () => mail()));
  expect(first.headers).toMatchObject({ "ratelimit-remaining": "2" });
  const second = await resend.emails.list();
  expect(second.headers).toMatchObject({ "ratelimit-remaining": "1" });
});

test("without saying otherwise the limit is 5 a second", async () => {
  const { resend } = await limited(undefined);
  const { headers } = await resend.emails.send(mail());
  expect(headers).toMatchObject({ "ratelimit-policy": "5;w=1", "ratelimit-remaining": "4" });
});

test("no limit, no headers", async () => {
  const { resend } = await startHarness();
  const { headers } = await resend.emails.send(mail());
  expect(Object.keys(headers ?? {}).filter((name) => name.startsWith("ratelimit"))).toEqual([]);
});

test("the limit goes by real time, not by the inbox's clock, which may stand still", async () => {
  const { inbox, resend } = await startHarness({ ratePerSecond: 1, now: clockAt().now });
  await resend.emails.send(mail());
  await expect.poll(async () => (await resend.emails.send(mail())).error, { timeout: 10_000 }).toBeNull();
  expect(inbox.ledger.count()).toBe(2);
});
