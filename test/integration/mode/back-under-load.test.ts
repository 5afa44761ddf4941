import { afterEach, expect, it } from "vitest";
import { deliver } from "../../support/delivering.ts";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

const MAILS = 24;
const CALLS = 8;
const ROUNDS = [0, 1, 2];

const open: DunningWorld[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

it.each(ROUNDS)(
  "back in mirror mode with claims in flight, what has begun ends and nothing else begins (round %i)",
  async (round) => {
    const random = new Random(SEED + round);
    console.log(`back to mirror under load: DUEBASE_SEED=${SEED}, round ${round}`);
    const world = await DunningWorld.open();
    open.push(world);
    const { sql } = world.database;
    const invoices = await enqueueWork(world);
    const requests = world.local.ledger.requests.length;

    const stopAt = random.int(1, 40);
    let reached = 0;
    let stopped: Promise<unknown> | undefined;
    const reach = async () => {
      if (++reached === stopAt) stopped = sql`select billing.back_to_mirror(${world.now})`.execute();
      // Only whoever turned the switch waits for it.
      if (reached === stopAt) await stopped;
    };
    const parts = { ...world.parts, reach, budget: { ...world.parts.budget, claimLimit: 4 } };
    await Promise.all([1, 2, 3].map(() => deliver(parts, world.now)));
    expect(stopped, `the runs had more than ${stopAt} points`).toBeDefined();
    const sentThen = world.inbox.ledger.mails.length;
    const writesThen = writesSince(world, requests).length;

    // Whatever was in flight: what is due later, what a lease held, what failed and would be tried again.
    for (let hour = 0; hour < 4; hour++) {
      world.now = new Date(world.now.getTime() + 3_600_000);
      await deliver(world.parts, world.now);
    }
    expect(world.inbox.ledger.mails.length).toBe(sentThen);
    expect(writesSince(world, requests).length).toBe(writesThen);

    const [count] = await sql<{ sent: number; called: number; withheld: number; other: number }[]>`
      select
        (count(*) filter (where kind = 'email' and status = 'delivered'))::int as sent,
        (count(*) filter (where kind = 'stripe' and status = 'delivered'))::int as called,
        (count(*) filter (where status = 'withheld' and withheld_reason = 'mirror'))::int as withheld,
        (count(*) filter (where status not in ('delivered', 'withheld')))::int as other
      from billing.outbox where kind in ('email', 'stripe')`;
    expect(count).toMatchObject({ sent: sentThen, called: writesThen, other: 0 });
    expect(count?.withheld).toBe(MAILS + CALLS - sentThen - writesThen);
    expect(count?.withheld).toBeGreaterThan(0);
    expect(new Set(writesSince(world, requests)).size).toBe(writesThen);
    expect(invoices.length).toBe(CALLS);

    await sql`
      update billing.settings
      set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
    await sql`select billing.go_live('local', ${world.now})`;
    world.now = new Date(world.now.getTime() + DAY);
    await deliver(world.parts, world.now);
    expect(world.inbox.ledger.mails.length).toBe(sentThen);
    expect(writesSince(world, requests).length).toBe(writesThen);
  },
);

/** Receipts to send, and open invoices to void. Returns the invoices. */
async function enqueueWork(world: DunningWorld): Promise<string[]> {
  const { sql } = world.database;
  for (let n = 0; n < MAILS; n++) await world.subscribe();
  await world.arrive();
  const customer = await world.stripe.customers.create({ email: "calls@example.com" });
  const invoices: string[] = [];
  for (let n = 0; n < CALLS; n++) {
    const invoice = await world.stripe.invoices.create({
      customer: customer.id,
      collection_method: "send_invoice",
      days_until_due: 30,
    });
    await world.stripe.invoiceItems.create({
      customer: customer.id,
      invoice: invoice.id,
      amount: 500,
      currency: "usd",
    });
    const { id } = await world.stripe.invoices.finalizeInvoice(String(invoice.id));
    invoices.push(String(id));
    await sql`select billing_private.enqueue(
      'stripe', ${`void:${id}`}, jsonb_build_object('call', 'void_invoice', 'id', ${String(id)}::text), ${world.now})`;
  }
  await world.arrive();
  return invoices;
}

function writesSince(world: DunningWorld, requests: number): string[] {
  return world.local.ledger.requests
    .slice(requests)
    .filter(({ method }) => method !== "GET")
    .map(({ method, path }) => `${method} ${path}`);
}
