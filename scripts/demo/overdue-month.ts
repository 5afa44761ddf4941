import { setCardOutcome } from "../local/stripe/buyer.ts";
import { finnFollowsAfter } from "./calendar.ts";
import { type Cast, type Name, person } from "./cast.ts";
import { advance, dayOf, everythingDelivered, liveUntilDay, runDunning } from "./clock.ts";
import { newestInvoice } from "./first-months.ts";
import { day, hour } from "./format.ts";

/** A month later four renewals fail on one day: day 0. The notices leave with the events, before any daily run. */
export async function renewalsFail(cast: Cast): Promise<string> {
  for (const name of ["Ada", "Bo", "Cleo", "Dan", "Finn"] as const)
    await setCardOutcome(cast.world.stripe, person(cast, name).card, "insufficient_funds");
  // A renewal's invoice is a draft for an hour, then it is charged; the others subscribed a little after Ada.
  await advance(cast, (await periodEnd(cast, "Dan")) + hour + 60);
  const [open] = await cast.world.sql<{ cases: number; first: Date }[]>`
    select count(*)::int as cases, min(anchor_at) as first from billing.dunning_cases where status = 'open'`;
  if (!open?.first) throw new Error("no renewal has failed");
  cast.dayZero = open.first.getTime() / 1000;
  // The daily run comes at noon (UTC), when ends leave.
  cast.runsAt = Math.floor(cast.dayZero / day) * day + 12 * hour + 60 - cast.dayZero;
  return `${open?.cases} cases open, ${await told(cast, 0)}`;
}

/** Plays on until a day, and returns who got which mail on it. */
export function until(days: number): (cast: Cast) => Promise<string> {
  return async (cast) => {
    await liveUntilDay(cast, days);
    return told(cast, days);
  };
}

export async function adaPays(cast: Cast): Promise<string> {
  await liveUntilDay(cast, 5);
  await payOpenInvoice(cast, "Ada");
  await everythingDelivered(cast);
  return newestInvoice(cast, "Ada");
}

export async function cleoIsPaused(cast: Cast): Promise<string> {
  await liveUntilDay(cast, 8);
  const [row] = await cast.world.sql<{ is_paused: boolean; outcome: string | null }[]>`
    select s.status = 'paused' or s.pause_collection is not null as is_paused, c.outcome
    from billing.subscriptions as s join billing.dunning_cases as c on c.subscription = s.id
    where s.id = ${person(cast, "Cleo").subscription}`;
  return row?.is_paused ? `subscription paused, case ${row.outcome}` : "not paused";
}

/** Day 10: Bo and Dan are both due to be canceled, and Dan pays a minute before; his webhook is still on its way. */
export async function dayTen(cast: Cast): Promise<string> {
  await liveUntilDay(cast, 9);
  const run = cast.dayZero + 10 * day + cast.runsAt;
  await advance(cast, run - 60);
  const { webhooks } = cast.world.stack.stripe;
  webhooks.hold();
  await payOpenInvoice(cast, "Dan");
  await advance(cast, run);
  await runDunning(cast);
  webhooks.release();
  await everythingDelivered(cast);
  const rows = await cast.world.sql<{ email: string; status: string }[]>`
    select c.email, s.status
    from billing.subscriptions as s join billing.customers as c on c.id = s.customer
    where s.id in (${person(cast, "Bo").subscription}, ${person(cast, "Dan").subscription})
    order by c.email`;
  return rows.map(({ email, status }) => `${email} ${status}`).join(", ");
}

/** Finn's renewal fails when he has been a subscriber for a month; then the daily job is down for four days. */
export async function jobIsDown(cast: Cast): Promise<string> {
  await liveUntilDay(cast, FINNS_DAY_ZERO);
  cast.daysDown = [3, 4, 5, 6].map((days) => FINNS_DAY_ZERO + days);
  await liveUntilDay(cast, FINNS_DAY_ZERO + 6);
  return `last told: ${await lastTold(cast, "Finn")}`;
}

export async function jobIsBack(cast: Cast): Promise<string> {
  await liveUntilDay(cast, FINNS_DAY_ZERO + 7);
  const [skipped] = await cast.world.sql<{ kinds: string | null }[]>`
    select string_agg(a.kind, ', ') as kinds
    from billing.dunning_actions as a join billing.dunning_cases as c on c.id = a.case_id
    where c.subscription = ${person(cast, "Finn").subscription} and a.status = 'skipped'`;
  return `only ${await lastTold(cast, "Finn")}; skipped: ${skipped?.kinds ?? "nothing"}`;
}

export async function finnPays(cast: Cast): Promise<string> {
  await liveUntilDay(cast, FINNS_DAY_ZERO + 8);
  await payOpenInvoice(cast, "Finn");
  await liveUntilDay(cast, FINNS_DAY_ZERO + 11);
  return newestInvoice(cast, "Finn");
}

/** His invoice is charged within that day. */
const FINNS_DAY_ZERO = finnFollowsAfter;

async function payOpenInvoice(cast: Cast, name: Name): Promise<void> {
  const { stripe } = cast.world;
  const { card, subscription } = person(cast, name);
  await setCardOutcome(stripe, card, "succeed");
  const { data } = await stripe.invoices.list({ subscription, status: "open" });
  const open = data[0];
  if (!open?.id) throw new Error(`${name} has no open invoice`);
  await stripe.invoices.pay(open.id);
}

async function told(cast: Cast, days: number): Promise<string> {
  const rows = await cast.world.sql<{ at: Date; template: string; email: string }[]>`
    select (o.payload ->> 'happened_at')::timestamptz as at, e.template, e.to_address as email
    from billing.emails as e join billing.outbox as o on o.id = e.outbox_id
    where e.template like 'payment-failed-%'
    order by e.id`;
  const today = rows.filter(({ at }) => dayOf(cast, at) === days);
  const names = today.map(({ email }) => email.split("@")[0]).join(", ");
  return today.length > 0 ? `${today[0]?.template} to ${names}` : "nobody was told anything";
}

async function lastTold(cast: Cast, name: Name): Promise<string> {
  const [row] = await cast.world.sql<{ template: string }[]>`
    select template from billing.emails where to_address = ${person(cast, name).email}
    order by id desc limit 1`;
  return row?.template ?? "nothing";
}

async function periodEnd(cast: Cast, name: Name): Promise<number> {
  const { subscription } = person(cast, name);
  const { items } = await cast.world.stripe.subscriptions.retrieve(subscription);
  const end = items.data[0]?.current_period_end;
  if (end === undefined) throw new Error(`subscription ${subscription} has no item`);
  return end;
}
