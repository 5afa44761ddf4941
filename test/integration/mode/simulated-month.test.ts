import { afterAll, beforeAll, expect, it } from "vitest";
import { Simulation } from "../../support/dunning-simulation/simulation.ts";
import { DAY } from "../../support/dunning-world.ts";
import { SEED } from "../../support/seed.ts";

// The same random customers, a month and a half long, twice: in mirror mode and live.

const customers = Array.from({ length: 12 }, (_, index) => index);
const played = { seed: SEED, customers, faults: new Set<never>() };
let mirror: Simulation;
let live: Simulation;
beforeAll(async () => {
  console.log(`a month in mirror mode: DUEBASE_SEED=${SEED}`);
  mirror = await Simulation.play({ ...played, mode: "mirror" });
  live = await Simulation.play(played);
}, 1_800_000);
afterAll(async () => {
  await mirror?.close();
  await live?.close();
});

/** What is shown of a customer, without the ids that Stripe makes up. */
async function shownOf({ world, customers: all }: Simulation, index: number): Promise<unknown> {
  const id = all[index]?.id ?? "";
  const { sql } = world.database;
  const [row] = await sql`
    select
      (select to_jsonb(c) - array['id', 'default_payment_method'] from billing.customers as c where c.id = ${id}) as customer,
      (
        select jsonb_agg(jsonb_build_array(s.status, s.cancel_at, s.ended_at, s.current_period_end, s.pause_collection) order by s.created, s.id)
        from billing.subscriptions as s where s.customer = ${id}
      ) as subscriptions,
      (
        select jsonb_agg(jsonb_build_array(i.status, i.total, i.amount_paid, i.amount_remaining, i.currency, i.paid_at, i.attempt_count) order by i.created, i.total, i.status)
        from billing.invoices as i where i.customer = ${id}
      ) as invoices,
      (
        select jsonb_agg(jsonb_build_array(p.status, p.amount, p.currency, p.outcome, p.failure_code) order by p.created, p.amount, p.status)
        from billing.payments as p where p.customer = ${id}
      ) as payments,
      (
        select jsonb_agg(e.feature order by e.feature)
        from billing.entitlements as e join billing.customers as c on c.owner_id = e.owner_id where c.id = ${id}
      ) as entitlements
  `;
  return row;
}

/** Customers for whom dunning did something at Stripe in the live run: they end otherwise in mirror mode. */
async function changedByDunning({ world, customers: all }: Simulation): Promise<Set<number>> {
  const rows = await world.database.sql<{ customer: string }[]>`
    select c.customer from billing.dunning_cases as c join billing.dunning_actions as d on d.case_id = c.id where d.kind = 'end'
    union
    select c.customer from billing.dunning_cases as c join billing.dunning_charges as g on g.case_id = c.id
    union
    select r.customer from billing.dunning_resumptions as r
  `;
  const ids = new Set(rows.map(({ customer }) => customer));
  return new Set(all.flatMap(({ id }, index) => (ids.has(id) ? [index] : [])));
}

it("the live run dunned, mailed and called: there is something to withhold", async () => {
  expect(live.world.inbox.ledger.mails.length).toBeGreaterThan(20);
  expect(live.writes.length).toBeGreaterThan(0);
  const [count] = await live.world.database.sql`select count(*)::int as cases from billing.dunning_cases`;
  expect(count?.cases).toBeGreaterThan(3);
});

it("in mirror mode no mail left, nothing was changed at Stripe, and no case was opened", async () => {
  const { inbox, database } = mirror.world;
  expect(inbox.ledger.mails).toEqual([]);
  expect(mirror.writes).toEqual([]);
  expect(await database.sql`select * from billing.dunning_cases`).toEqual([]);
  expect(await database.sql`select * from billing.dunning_resumptions`).toEqual([]);
  const statuses = await database.sql<{ status: string }[]>`
    select distinct status from billing.outbox where kind not in ('refresh', 'alert')`;
  expect(statuses).toEqual([{ status: "withheld" }]);
  const [withheld] = await database.sql`select sum(effects)::int as mails from billing.withheld_effects`;
  expect(withheld?.mails).toBeGreaterThan(10);
});

it("customers, subscriptions, invoices, payments and entitlements are as in the live run, where dunning changed nothing", async () => {
  const changed = await changedByDunning(live);
  const compared = customers.filter((index) => !changed.has(index));
  expect(compared.length).toBeGreaterThanOrEqual(3);
  for (const index of compared) {
    expect(await shownOf(mirror, index), `customer ${index}`).toEqual(await shownOf(live, index));
  }
});

it("gone live, nothing from before is mailed in the days that follow, and what falls overdue then is", async () => {
  const { world } = mirror;
  const { sql } = world.database;
  await sql`
    update billing.settings
    set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
  const before = new Set(
    (await sql<{ dedupe_key: string }[]>`select dedupe_key from billing.outbox`).map((row) => row.dedupe_key),
  );
  await sql`select billing.go_live('local', ${world.now})`;
  const liveSince = world.now;
  const debts = await sql`select invoice from billing.old_debts(${world.now})`;
  expect(debts.length).toBeGreaterThan(0);
  for (let day = 0; day < 40; day++) {
    world.now = new Date(liveSince.getTime() + day * DAY);
    world.local.tick();
    await mirror.webhooks.deliverNew();
    await world.run();
    await mirror.webhooks.deliverNew();
  }
  const mails = world.inbox.ledger.mails;
  expect(mails.length).toBeGreaterThan(5);
  const sent = await sql<{ dedupe_key: string; happened_at: Date }[]>`
    select o.dedupe_key, (o.payload ->> 'happened_at')::timestamptz as happened_at
    from billing.emails as e join billing.outbox as o on o.id = e.outbox_id`;
  expect(sent.filter(({ dedupe_key }) => before.has(dedupe_key))).toEqual([]);
  expect(sent.filter(({ happened_at }) => happened_at < liveSince)).toEqual([]);
  expect(
    await sql`
      select k.invoice from billing.dunning_case_invoices as k where k.overdue_since < ${liveSince}`,
  ).toEqual([]);
});
