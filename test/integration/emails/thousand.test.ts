import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Delivered, deliver } from "../../support/delivering.ts";
import { hours, noon, noonPlus, openPost, type Post } from "./post.ts";

const MAILS = 999;
const WORKERS = 10;

let post: Post;
beforeAll(async () => {
  post = await openPost();
  await post.reset();
  await post.enqueue("thousand", { count: MAILS });
  // Poison: Stripe is asked again and again, and fails on it.
  await post.database.sql`
    select billing_private.enqueue('stripe', 'poison', '{"call": "void_invoice", "id": "in_poison"}', ${noon}, ${noonPlus(500)})
  `;
});
afterAll(() => post.close());

it("ten runs of deliver at the same time over a thousand rows: each once, none forgotten", {
  timeout: 120_000,
}, async () => {
  const startedAt = performance.now();
  const runs = await Promise.all(
    Array.from({ length: WORKERS }, () =>
      post.deliverAt(hours(1), { budget: { claimLimit: 25, mails: MAILS } }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const total = (of: keyof Delivered["counts"]) => runs.reduce((sum, { counts }) => sum + counts[of], 0);
  console.log(
    `${MAILS} mails by ${WORKERS} runs at once: ${Math.round(MAILS / seconds)} mails/s, ` +
      `${post.inbox.ledger.requests.length} requests to Resend`,
  );
  expect({ delivered: total("delivered"), failed: total("failed"), lost: total("lost") }).toEqual({
    delivered: MAILS,
    failed: 1,
    lost: 0,
  });
  expect(post.inbox.ledger.mails).toHaveLength(MAILS);
  expect(new Set(post.inbox.ledger.mails.map(({ tags }) => tags.duebase_email)).size).toBe(MAILS);
  expect(runs.filter(({ counts }) => counts.delivered > 0).length).toBeGreaterThan(1);
  expect(new Set((await post.states()).map(({ status }) => status))).toEqual(new Set(["delivered"]));
});

it("the poison row among them dies after its attempts, with its cause and an alert", async () => {
  const { database } = post;
  const alerts: string[] = [];
  const server = createServer((_, response) => {
    response.writeHead(500, { "content-type": "application/json" });
    response.end('{"error": {"type": "api_error", "message": "poisoned"}}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stripe = { url: `http://127.0.0.1:${port}` };
  try {
    for (let hour = 2; hour < 40; hour++) {
      await deliver({ database, stripe, postAlert: async (text) => void alerts.push(text) }, hours(hour));
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
  const [poison] = await database.sql`
    select o.status, o.attempts - o.excused_attempts as attempts, billing_private.max_attempts() as most, o.last_error ->> 'code' as cause
    from billing.outbox as o where o.dedupe_key = 'poison'
  `;
  expect(poison).toEqual({ status: "dead", attempts: poison?.most, most: poison?.most, cause: "api_error" });
  expect(alerts, alerts.join("\n")).toHaveLength(1);
  expect(alerts[0]).toContain("dedupe_key: poison");
  expect(alerts[0]).toContain("poisoned");
});
