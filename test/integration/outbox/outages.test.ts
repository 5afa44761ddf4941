import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { connectAlerts } from "../../../supabase/functions/_duebase/alert-webhook.ts";
import { DAY, DunningWorld, HOUR } from "../../support/dunning-world.ts";

const open: DunningWorld[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});
async function openWorld(): Promise<DunningWorld> {
  const world = await DunningWorld.open();
  open.push(world);
  return world;
}

/** Owes mails to customers of the database's own, and reads of one that Stripe has. */
async function enqueue(world: DunningWorld, { mails = 0, reads = 0 }: { mails?: number; reads?: number }) {
  const { sql } = world.database;
  const { customer } = await world.subscribe();
  await world.arrive();
  await sql`truncate billing.outbox`;
  for (let n = 0; n < mails; n++) {
    const props = { reason: "requested", pausedAt: world.now.toISOString() };
    const payload = { template: "subscription-paused", customer, props };
    await sql`select billing_private.enqueue('email', ${`mail:${n}`}, ${sql.json(payload)}, ${world.now})`;
  }
  for (let n = 0; n < reads; n++) {
    const payload = { object: "customer", id: customer };
    await sql`select billing_private.enqueue('refresh', ${`read:${n}`}, ${sql.json(payload)}, ${world.now})`;
  }
}
function rows(world: DunningWorld, kind: string) {
  return world.database.sql`
    select status, attempts - excused_attempts as tries, last_error ->> 'code' as problem
    from billing.outbox where kind = ${kind} order by id
  `;
}
const forEver = Number.POSITIVE_INFINITY;

it("with Stripe half-open mails leave, and what needs Stripe keeps its tries and waits", async () => {
  const world = await openWorld();
  await enqueue(world, { mails: 3, reads: 20 });
  world.local.faults.add({ action: { kind: "hang" }, times: forEver });
  const startedAt = performance.now();
  await world.deliver({
    stripe: { ...world.parts.stripe, url: world.local.url, timeoutMs: 1_000 },
    budget: { wallMs: 5_000 },
  });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect((await rows(world, "email")).map(({ status }) => status)).toEqual(Array(3).fill("delivered"));
  const reads = await rows(world, "refresh");
  expect(reads.every(({ status, tries }) => status === "pending" && tries === 0)).toBe(true);
  expect(reads[0]?.problem).toBe("no_answer");

  world.local.faults.clear();
  world.now = new Date(world.now.getTime() + HOUR);
  await world.deliver();
  expect((await rows(world, "refresh")).map(({ status }) => status)).toEqual(Array(20).fill("delivered"));
}, 60_000);

it("with Resend half-open Stripe is asked, and an alert still reaches the webhook, once", async () => {
  const world = await openWorld();
  await enqueue(world, { mails: 3, reads: 3 });
  await world.database
    .sql`select billing_private.alert('dead_webhook', '{"event_id": "evt_1"}', ${world.now})`;
  for (let n = 0; n < 20; n++) world.inbox.faults.add({ action: { kind: "hang" } });
  const posted: string[] = [];
  const parts = {
    resend: { url: world.inbox.apiUrl, timeoutMs: 1_000 },
    alertMail: { from: "Duebase <billing@example.com>", to: "ops@example.com" },
    postAlert: async (text: string) => {
      posted.push(text);
    },
  };
  await world.deliver({ ...parts, budget: { wallMs: 5_000 } });
  expect((await rows(world, "refresh")).map(({ status }) => status)).toEqual(Array(3).fill("delivered"));
  expect(posted).toHaveLength(1);
  expect(await rows(world, "alert")).toMatchObject([{ status: "pending", tries: 0 }]);

  world.inbox.faults.clear();
  world.now = new Date(world.now.getTime() + HOUR);
  await world.deliver(parts);
  expect(posted).toHaveLength(1);
  expect(world.inbox.ledger.mailsWhere({ to: "ops@example.com" })).toHaveLength(1);
  expect((await rows(world, "email")).map(({ status }) => status)).toEqual(Array(3).fill("delivered"));
}, 60_000);

it("a Stripe that answers slowly takes turns with the mails", async () => {
  const world = await openWorld();
  await enqueue(world, { mails: 2, reads: 50 });
  world.local.faults.add({ action: { kind: "delay", milliseconds: 150 }, times: forEver });
  const order: string[] = [];
  await world.deliver({
    reach: async (point) => {
      if (point === "object_applied" || point === "email_finished") order.push(point);
    },
    budget: { wallMs: 4_000 },
  });
  const mails = order.indexOf("email_finished");
  expect(mails).toBeGreaterThan(0);
  expect(mails, "reads before the first mail").toBeLessThan(12);
  expect((await rows(world, "email")).map(({ status }) => status)).toEqual(["delivered", "delivered"]);
}, 60_000);

it("an alert webhook that hangs up is posted to once a run, and keeps no mail waiting", async () => {
  const world = await openWorld();
  await enqueue(world, { mails: 2 });
  let posts = 0;
  const server = createServer((request) => {
    posts += 1;
    request.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  for (const cause of ["dead_webhook", "dead_effect"])
    await world.database.sql`select billing_private.alert(${cause}, '{}', ${world.now})`;
  try {
    await world.deliver({ postAlert: connectAlerts(`http://127.0.0.1:${port}/`) });
  } finally {
    server.closeAllConnections();
    server.close();
  }
  expect(posts).toBe(1);
  expect(await rows(world, "alert")).toMatchObject([
    { status: "pending", tries: 0, problem: "not_posted" },
    { status: "pending", tries: 0, problem: null },
  ]);
  expect((await rows(world, "email")).map(({ status }) => status)).toEqual(["delivered", "delivered"]);
});

it("Stripe answering 429 for days makes no effect dead, ends no subscription that was paid meanwhile, and gets an alert", async () => {
  const world = await openWorld();
  const payer = await world.subscribe();
  const silent = await world.subscribe();
  for (const who of [payer, silent]) await world.breakCard(who);
  await world.renew(payer);
  for (let day = 1; day <= 8; day++) await world.nextDay();
  expect(world.mailsTo(payer.email)).toContain("payment-failed-final");

  // From the day after the warning on Stripe takes no calls of ours, and its events do not arrive.
  const limit = {
    kind: "error",
    status: 429,
    code: "rate_limit",
    headers: { "retry-after": "600" },
  } as const;
  world.arrives = () => false;
  const [invoice] = (await world.stripe.invoices.list({ customer: payer.customer, status: "open" })).data;
  await world.breakCard(payer, "succeed");
  await world.stripe.invoices.pay(invoice?.id ?? "");
  world.local.faults.add({ action: limit, times: forEver });
  for (let hours = 0; hours < 5 * 24; hours += 1) {
    world.now = new Date(world.now.getTime() + HOUR);
    if (hours % 24 === 0) await world.run();
    else await world.deliver();
  }
  expect(await world.database.sql`select kind, dedupe_key from billing.outbox where status = 'dead'`).toEqual(
    [],
  );
  expect(
    (await world.database.sql`select from billing.outbox where payload ->> 'cause' = 'long_outage'`).length,
  ).toBeGreaterThan(0);

  world.local.faults.clear();
  world.now = new Date(world.now.getTime() + DAY);
  await world.run();
  const status = async (id: string) => (await world.stripe.subscriptions.retrieve(id)).status;
  expect(await status(payer.subscription)).toBe("active");
  expect(world.mailsTo(payer.email)).not.toContain("subscription-canceled");
}, 120_000);
