import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { CRASH_POINTS, type CrashPoint } from "../../../supabase/functions/_duebase/crash-points.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Delivered, type DeliverParts, deliver } from "../../support/delivering.ts";

const secretKey = "sk_test_example_overtaken";
let database: TestDatabase;
let inbox: Inbox;
let local: LocalStripe;
let stripe: Stripe;
let parts: DeliverParts;

beforeAll(async () => {
  database = await createTestDatabase();
  inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
  local = await startLocalStripe({ port: 0, apiKey: secretKey });
  const { hostname, port } = new URL(local.url);
  stripe = new Stripe(secretKey, { host: hostname, port, protocol: "http", maxNetworkRetries: 0 });
  parts = {
    database,
    resend: { url: inbox.apiUrl },
    stripe: { url: local.url, secretKey },
    alertMail: { from: "Duebase <billing@example.com>", to: "ops@example.com" },
    postAlert: async () => {},
  };
});
beforeEach(async () => {
  await database.sql`truncate billing.outbox`;
  await database.sql`truncate billing.suppressed_addresses, billing.resend_events, billing.emails`;
  inbox.ledger.clear();
  inbox.keys.forget();
});
afterAll(async () => {
  await local.close();
  await inbox.close();
  await database.drop();
});

/** All but those on the way to the end of a dunning case, to a charge and to seats, of which nothing here has one. */
const POINTS = CRASH_POINTS.filter((point) => !/^(end|charge|seats)_/.test(point));
const now = Date.now();
const later = (minutes: number) => new Date(now + minutes * 60_000);

/** Enqueues some of everything; returns the subscription that is to end. */
async function enqueueEverything(point: string): Promise<string> {
  const enqueue = (kind: string, key: string, payload: object) =>
    database.sql`select billing_private.enqueue(${kind}, ${key}, ${database.sql.json(payload as never)}, ${later(0)})`;
  for (const mail of [1, 2, 3]) {
    const id = `cus_${point}${mail}`;
    await database.sql`insert into billing.customers (id, email, created) values (${id}, ${`${id}@example.com`}, ${later(0)})`;
    const props = { reason: "requested", pausedAt: later(0).toISOString() };
    await enqueue("email", `mail:${point}:${mail}`, { template: "subscription-paused", customer: id, props });
  }
  const customer = await stripe.customers.create({
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "eur",
    unit_amount: 1900,
    recurring: { interval: "month" },
  });
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await enqueue("stripe", `cancel:${point}`, {
    call: "cancel_subscription",
    id,
    mark: { duebase_test: point },
  });
  await enqueue("refresh", `read:${point}`, { object: "customer", id: customer.id });
  await enqueue("refresh", `nothing:${point}`, { object: "subscription", id: `sub_${point}` });
  await enqueue("dunning", `evaluate:${point}`, { customer: customer.id });
  await enqueue("alert", `alert:${point}`, { cause: "dead_webhook", event_id: point });
  return id;
}
/** What is kept of what left: all but the times, which a replayed answer may not move either. */
const kept = () => database.sql`
  select o.kind, o.dedupe_key, o.status, o.attempts, o.finished_at, e.status as email, e.resend_id, e.sent_at, e.unknown_since
  from billing.outbox as o left join billing.emails as e on e.outbox_id = o.id order by o.id
`;

it.each(POINTS)(
  "a worker that stops when %s, loses its lease, and goes on when another has done its work changes nothing and sends nothing twice",
  async (point: CrashPoint) => {
    const canceled = await enqueueEverything(point);
    let taken: Promise<Delivered> | undefined;
    let after: unknown;
    await deliver(
      {
        ...parts,
        reach: async (reached) => {
          if (reached !== point || taken) return;
          // The lease is two minutes; the other comes after ten, and again for what was handed back or failed.
          taken = deliver(parts, later(10));
          await taken;
          await deliver(parts, later(20));
          after = await kept();
        },
      },
      later(1),
    );
    expect(taken, "the point was reached").toBeDefined();
    expect(await kept()).toEqual(after);
    for (const mail of [1, 2, 3]) {
      expect(inbox.ledger.count({ to: `cus_${point}${mail}@example.com` })).toBe(1);
    }
    expect(local.ledger.count({ kind: "subscription.canceled", object: canceled })).toBe(1);
    expect(
      (await kept()).map(({ dedupe_key, status }) => `${String(dedupe_key).split(":")[0]} ${status}`),
    ).toEqual([
      ...Array(3).fill("mail delivered"),
      "cancel delivered",
      "read delivered",
      "nothing dead",
      "evaluate delivered",
      "alert delivered",
      // What the look reads names a price and a product that were never seen.
      ...Array(3).fill("unseen delivered"),
      "alert delivered",
    ]);
  },
);
