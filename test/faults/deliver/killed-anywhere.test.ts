import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { setCardOutcome } from "../../../scripts/local/stripe/buyer.ts";
import { CRASH_POINTS, type CrashPoint } from "../../../supabase/functions/_duebase/crash-points.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { type DeliverStack, startDeliverStack } from "./deliver-stack.ts";

/** How often each point is tried. DUEBASE_CRASH_RUNS changes that; DUEBASE_SEED draws the same again. */
const RUNS = Number(process.env.DUEBASE_CRASH_RUNS ?? 1);

let faults: DeliverStack;
let slack: Server;
let posts = 0;

beforeAll(async () => {
  slack = createServer((request, response) => {
    request.resume();
    posts += 1;
    response.end("ok");
  });
  await new Promise<void>((resolve) => slack.listen(0, "127.0.0.1", resolve));
  faults = await startDeliverStack({
    DUEBASE_ALERT_EMAIL: "ops@example.com",
    DUEBASE_ALERT_WEBHOOK_URL: `http://127.0.0.1:${(slack.address() as AddressInfo).port}/`,
  });
  console.log(`killed anywhere: DUEBASE_SEED=${SEED} DUEBASE_CRASH_RUNS=${RUNS}`);
});
afterAll(async () => {
  await faults?.close();
  slack?.close();
});

/** How often a run reaches a point. Mails are written one by one, and sent singly or as one batch. */
function timesOf(point: CrashPoint, enqueued: Enqueued): number {
  if (point === "effect_completed") return 5;
  if (point === "call_made" || point === "answer_applied") return 2;
  // Called once, and again after the objects it asked for were read.
  if (point === "dunning_evaluated" || point === "end_reviewed" || point === "seats_reviewed") return 2;
  return point === "email_rendered" ? enqueued.addresses.length : 1;
}

/** What one run owes, and what must have been sent by its end. */
interface Enqueued {
  addresses: string[];
  canceled: string[];
  refreshed: string[];
  /** Who is mailed about an overdue payment, and about an end that was due for it. */
  chased: string;
  ended: string;
  /** Who has given a new card: one that works, and one that does not. */
  paid: { email: string; subscription: string };
  refused: { email: string; subscription: string };
  /** Whose seats have become three. */
  seated: string;
}

async function enqueueEverything(name: string, random: Random): Promise<Enqueued> {
  const now = new Date();
  const enqueue = (kind: string, key: string, payload: object) =>
    faults.sql`select billing_private.enqueue(${kind}, ${key}, ${faults.sql.json(payload as never)}, ${now})`;
  const enqueued: Enqueued = {
    addresses: [],
    canceled: [],
    refreshed: [],
    chased: `${name}-chased@example.com`,
    ended: `${name}-ended@example.com`,
    paid: { email: `${name}-paid@example.com`, subscription: "" },
    refused: { email: `${name}-refused@example.com`, subscription: "" },
    seated: "",
  };
  const mails = random.int(1, 5);
  for (let mail = 0; mail < mails; mail++) {
    const address = `${name}-${mail}@example.com`;
    const customer = `cus_${name}${mail}`;
    await faults.sql`insert into billing.customers (id, email, created) values (${customer}, ${address}, ${now})`;
    await enqueue("email", `mail:${name}:${mail}`, {
      template: "subscription-paused",
      customer,
      props: { reason: "requested", pausedAt: now.toISOString() },
    });
    enqueued.addresses.push(address);
  }
  const { id } = await subscribe();
  await enqueue("stripe", `cancel:${name}`, {
    call: "cancel_subscription",
    id,
    mark: { duebase_test: name },
  });
  enqueued.canceled.push(id);
  const invoice = await openInvoice();
  await enqueue("stripe", `void:${name}`, { call: "void_invoice", id: invoice });
  const customer = await faults.stripe.customers.create({ email: `${name}-read@example.com` });
  await enqueue("refresh", `read:${name}`, { object: "customer", id: customer.id });
  enqueued.refreshed.push(customer.id);
  // One effect that can never succeed, so that failures are interrupted too.
  await enqueue("refresh", `nothing:${name}`, { object: "subscription", id: `sub_${name}` });
  await enqueue("dunning", `evaluate:${name}`, { customer: customer.id });
  await enqueue("alert", `alert:${name}`, { cause: "dead_webhook", event_id: name });
  await overdue(enqueued.chased);
  enqueued.canceled.push(await overdue(enqueued.ended));
  enqueued.paid.subscription = await overdue(enqueued.paid.email);
  enqueued.refused.subscription = await overdue(enqueued.refused.email);
  await giveCard(enqueued.paid.subscription, "succeed");
  await giveCard(enqueued.refused.subscription, "insufficient_funds");
  const owner = randomUUID();
  enqueued.seated = await subscribeBySeat(owner);
  await faults.stack.stripe.settled();
  await longSinceWarned(enqueued.ended);
  await faults.sql.begin(async (sql) => {
    await sql`select billing.sync_seats(${owner}, 3)`;
    await sql`select billing_private.follow_seats(now() - interval '1 minute') from generate_series(1, 20)`;
  });
  return enqueued;
}

/** A user with a subscription of one seat. */
async function subscribeBySeat(owner: string): Promise<string> {
  await faults.sql`insert into auth.users (id, email) values (${owner}, ${`${owner}@example.com`})`;
  const { id, customer, items } = await subscribe();
  const price = String(items.data[0]?.price.id);
  await faults.stripe.prices.update(price, { metadata: { seats: "true" } });
  await faults.stripe.customers.update(String(customer), { metadata: { owner_id: owner } });
  return id;
}

/** Subscribes a customer who cannot pay an invoice. The events open their case. */
async function overdue(email: string): Promise<string> {
  const { id, customer, default_payment_method } = await subscribe(email);
  await faults.stripe.invoiceItems.create({
    customer: String(customer),
    subscription: id,
    amount: 500,
    currency: "eur",
  });
  const invoice = await faults.stripe.invoices.create({
    customer: String(customer),
    subscription: id,
    auto_advance: false,
  });
  await setCardOutcome(faults.stripe, String(default_payment_method), "insufficient_funds");
  await faults.stripe.invoices.finalizeInvoice(String(invoice.id));
  await expect(faults.stripe.invoices.pay(String(invoice.id))).rejects.toThrow();
  return id;
}

/** Gives a card as the portal does: it becomes the customer's default, and the subscription keeps its own. */
async function giveCard(subscription: string, outcome: string) {
  const customer = String((await faults.stripe.subscriptions.retrieve(subscription)).customer);
  const card = await faults.stripe.paymentMethods.attach("pm_card_mastercard", { customer });
  await setCardOutcome(faults.stripe, card.id, outcome);
  await faults.stripe.customers.update(customer, { invoice_settings: { default_payment_method: card.id } });
}

/** How often the bank paid for a subscription, and how often it refused. */
async function attempts(subscription: string) {
  const { customer } = await faults.stripe.subscriptions.retrieve(subscription);
  const { data } = await faults.stripe.charges.list({ customer: String(customer), limit: 100 });
  return [data.filter(({ paid }) => paid).length, data.filter(({ paid }) => !paid).length];
}

/** Eleven days have passed, and all mails were sent in time. */
async function longSinceWarned(email: string) {
  const { sql } = faults;
  await sql`
    update billing.invoices as i set first_payment_failed_at = now() - interval '11 days'
    from billing.customers as c where c.email = ${email} and i.customer = c.id and i.status = 'open'`;
  await sql`
    update billing.dunning_case_invoices as k set known_at = now() - interval '11 days'
    from billing.dunning_cases as d join billing.customers as c on c.id = d.customer
    where c.email = ${email} and k.case_id = d.id`;
  await sql`
    insert into billing.dunning_actions
      (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, ends_at)
    select
      k.case_id, s.position, s.kind, k.invoice, array[k.invoice], 'sent', t.at, t.at, t.at, now() - interval '1 day'
    from billing.customers as c
    join billing.dunning_cases as d on d.customer = c.id
    join billing.dunning_case_invoices as k on k.case_id = d.id
    join billing.dunning_steps as s on s.policy_id = d.policy_id and s.kind <> 'end'
    cross join lateral (select now() - interval '11 days' + s.day * interval '1 day' as at) as t
    where c.email = ${email}`;
}

async function subscribe(email?: string) {
  const customer = await faults.stripe.customers.create({ email });
  const card = await faults.stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
  const product = await faults.stripe.products.create({ name: "Pro" });
  const price = await faults.stripe.prices.create({
    product: product.id,
    currency: "eur",
    unit_amount: 1900,
    recurring: { interval: "month" },
  });
  return faults.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    default_payment_method: card.id,
  });
}

async function openInvoice(): Promise<string> {
  const customer = await faults.stripe.customers.create({ email: "open@example.com" });
  const { id = "" } = await faults.stripe.invoices.create({
    customer: customer.id,
    collection_method: "send_invoice",
    days_until_due: 7,
    auto_advance: false,
  });
  await faults.stripe.invoiceItems.create({
    customer: customer.id,
    invoice: id,
    amount: 500,
    currency: "eur",
  });
  await faults.stripe.invoices.finalizeInvoice(id);
  return id;
}

const runs = CRASH_POINTS.flatMap((point) => Array.from({ length: RUNS }, (_, run) => ({ point, run })));
const reached = new Set<CrashPoint>();

it.each(runs)(
  "killed when $point, run $run: each effect once, and nothing waits any more",
  { timeout: 60_000 },
  async ({ point, run }) => {
    const random = new Random(SEED + run * 1000 + CRASH_POINTS.indexOf(point));
    const name = `${point.replaceAll("_", "")}${run}`;
    await faults.stack.stripe.settled();
    const enqueued = await enqueueEverything(name, random);
    const now = new Date(Date.now() + 60_000);
    const nth = random.int(1, timesOf(point, enqueued));
    if (await faults.killAt(point, { nth, now })) reached.add(point);
    await faults.drain(now);

    for (const address of enqueued.addresses)
      expect(faults.inbox.ledger.count({ to: address }), address).toBe(1);
    for (const id of enqueued.canceled) {
      expect(faults.stack.stripe.ledger.count({ kind: "subscription.canceled", object: id })).toBe(1);
    }
    const mailsTo = (to: string) => faults.inbox.ledger.mailsWhere({ to }).map(({ tags }) => tags.template);
    expect(mailsTo(enqueued.chased)).toEqual(["payment-receipt", "payment-failed-notice"]);
    expect(mailsTo(enqueued.ended)).toEqual(["payment-receipt", "subscription-canceled"]);
    // The first period, and the overdue invoice: refused at first, then charged to the new card once.
    expect(await attempts(enqueued.paid.subscription)).toEqual([2, 1]);
    expect(await attempts(enqueued.refused.subscription)).toEqual([1, 2]);
    expect(mailsTo(enqueued.paid.email)).toEqual(["payment-receipt", "payment-receipt"]);
    expect(mailsTo(enqueued.refused.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
    const seated = await faults.stripe.subscriptions.retrieve(enqueued.seated);
    expect(seated.items.data.map(({ quantity }) => quantity)).toEqual([3]);
    expect(faults.stack.stripe.ledger.count({ kind: "subscription.updated", object: enqueued.seated })).toBe(
      1,
    );
    const [kept] = await faults.sql`
      select p.card_brand from billing.subscriptions as s
      join billing.payment_methods as p on p.id = s.default_payment_method where s.id = ${enqueued.paid.subscription}`;
    expect(kept?.card_brand).toBe("mastercard");
    for (const id of enqueued.refreshed) {
      expect(
        await faults.sql`select id from billing.customers where id = ${id} and email is not null`,
      ).toHaveLength(1);
    }
    const finished = await faults.sql`
    select split_part(dedupe_key, ':', 1) as what, status, count(*)::int from billing.outbox
    where dedupe_key like ${`%:${name}%`} group by 1, 2 order by 1, 2
  `;
    expect(finished.map(({ what, status }) => `${what} ${status}`)).toEqual([
      "alert delivered",
      "cancel delivered",
      "evaluate delivered",
      "mail delivered",
      "nothing dead",
      "read delivered",
      "void delivered",
    ]);
  },
);

it("every crash point was reached", () => {
  expect(CRASH_POINTS.filter((point) => !reached.has(point))).toEqual([]);
  expect(posts).toBeGreaterThan(0);
});
