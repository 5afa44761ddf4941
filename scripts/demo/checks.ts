import type { SupabaseClient } from "@supabase/supabase-js";
import type { Answers } from "./abuse.ts";
import { type Cast, person } from "./cast.ts";
import { type Check, check } from "./check.ts";
import { checkMails } from "./mail.ts";
import { mailsOfTheStory } from "./story.ts";

/** What happened besides the story. */
export interface Abuse {
  stormedEvent: string;
  storm: Answers;
  forgedEvent: string;
  forged: Answers;
}

/** Holds the database against what the local Stripe and the inbox know of the same months, and against what each visitor may see. */
export async function checkEverything(cast: Cast, abuse: Abuse): Promise<Check[]> {
  return [
    ...(await checkEvents(cast)),
    ...(await checkState(cast)),
    ...(await checkDunning(cast)),
    ...(await checkMoney(cast)),
    ...(await checkMails(cast.world, mailsOfTheStory)),
    ...(await checkAbuse(cast, abuse)),
    ...(await checkAccess(cast)),
  ];
}

async function checkEvents({ world }: Cast): Promise<Check[]> {
  const stripes = await ids(world.stripe.events.list({ limit: 100 }));
  const stored = await world.sql<
    { id: string }[]
  >`select id from billing.webhook_events order by id collate "C"`;
  const [failed] = await world.sql<
    { count: number }[]
  >`select count(*)::int as count from billing.failed_webhooks`;
  return [
    check("every event of Stripe's is stored, once", stripes.length, stored.length),
    check("… and the same ones", stripes.join(), stored.map((row) => row.id).join()),
    check("no projection failed", 0, failed?.count),
  ];
}

async function checkState({ world, people, adaId }: Cast): Promise<Check[]> {
  const line = (id: string, status: string, endedAt: number | null) => `${id} ${status} ${endedAt}`;
  const theirs = await Promise.all(
    [...people.values()].map(({ subscription }) => world.stripe.subscriptions.retrieve(subscription)),
  );
  const ours = await world.sql<{ id: string; status: string; ended_at: Date | null }[]>`
    select id, status, ended_at from billing.subscriptions`;
  const [owner] = await world.sql<{ owner_id: string | null }[]>`
    select owner_id from billing.customers where id = ${people.get("Ada")?.customer ?? ""}`;
  return [
    check(
      "every subscription has Stripe's status, and ended when Stripe says",
      theirs.map((it) => line(it.id, it.status, it.ended_at)).sort(),
      ours.map((it) => line(it.id, it.status, seconds(it.ended_at))).sort(),
    ),
    check("Ada's customer is linked to Ada", adaId, owner?.owner_id),
  ];
}

async function checkDunning(cast: Cast): Promise<Check[]> {
  const { world } = cast;
  const cases = await world.sql<{ email: string; outcome: string | null; amount_recovered: string }[]>`
    select u.email, c.outcome, c.amount_recovered::text
    from billing.dunning_cases as c join billing.customers as u on u.id = c.customer
    order by u.email`;
  const canceled = world.stack.stripe.ledger
    .effectsWhere({ kind: "subscription.canceled" })
    .map(({ object }) => object)
    .sort();
  const [early] = await world.sql<{ count: number }[]>`
    select count(*)::int as count
    from billing.dunning_actions as e
    join billing.dunning_actions as w on w.case_id = e.case_id and w.kind = 'final_warning'
    where e.kind = 'end' and e.status = 'done' and (w.status <> 'sent' or e.decided_at < w.decided_at + interval '3 days')`;
  return [
    check(
      "who paid was recovered, whoever did not had what their policy says",
      "ada recovered 2000, bo ended 0, cleo ended 0, dan recovered 2000, finn recovered 2000",
      cases.map((it) => `${it.email.split("@")[0]} ${it.outcome} ${it.amount_recovered}`).join(", "),
    ),
    check(
      "Stripe canceled Bo's subscription, and Eve's at her wish, and no other",
      [person(cast, "Bo").subscription, person(cast, "Eve").subscription].sort(),
      canceled,
    ),
    check("nothing ended within three days of its final warning", 0, early?.count),
  ];
}

async function checkMoney({ world }: Cast): Promise<Check[]> {
  const invoices = await world.stripe.invoices.list({ limit: 100 });
  const line = (id: string | undefined, status: string | null, paid: number | string) =>
    `${id} ${status} ${paid}`;
  const theirs = invoices.data.map((it) => line(it.id, it.status, it.amount_paid)).sort();
  const rows = await world.sql<{ id: string; status: string; amount_paid: string }[]>`
    select id, status, amount_paid::text from billing.invoices`;
  const taken = world.stack.stripe.ledger
    .effectsWhere({ kind: "charge.succeeded" })
    .reduce((sum, effect) => sum + (effect.amount ?? 0), 0);
  const [received] = await world.sql<{ sum: string; unlinked: number }[]>`
    select coalesce(sum(amount_received), 0)::text as sum, count(*) filter (where invoice_id is null)::int as unlinked
    from billing.payments where status = 'succeeded'`;
  return [
    check(
      "every invoice has Stripe's status and amount",
      theirs,
      rows.map((it) => line(it.id, it.status, it.amount_paid)).sort(),
    ),
    check("payments add up to what Stripe took, in cents", taken, received?.sum),
    check("every payment knows its invoice", 0, received?.unlinked),
  ];
}

async function checkAbuse({ world }: Cast, abuse: Abuse): Promise<Check[]> {
  const [storm] = await world.sql<{ stored: number; duplicates: number; audited: number }[]>`
    select
      (select count(*)::int from billing.webhook_events where id = ${abuse.stormedEvent}) as stored,
      (select count(*)::int from billing.webhook_duplicates where event_id = ${abuse.stormedEvent}) as duplicates,
      (select count(*)::int from billing.audit_events where event_id = ${abuse.stormedEvent}) as audited`;
  const [forged] = await world.sql<{ count: number }[]>`
    select count(*)::int as count from billing.webhook_events where id = ${abuse.forgedEvent}`;
  return [
    check("the storm was answered 200 every time", abuse.storm.sent, abuse.storm.byStatus.get(200)),
    check("… stored as one event", 1, storm?.stored),
    // A delivery whose answer came too late was counted, and counted again when it was repeated.
    check("… counted as duplicates", abuse.storm.sent, Math.min(abuse.storm.sent, storm?.duplicates ?? 0)),
    check("… and did what it does once", 1, storm?.audited),
    check("the forged webhook was refused", 1, abuse.forged.byStatus.get(400)),
    check("… and is nowhere", 0, forged?.count),
  ];
}

async function checkAccess(cast: Cast): Promise<Check[]> {
  const { world, ada, grace } = cast;
  const { subscription } = person(cast, "Ada");
  const invoices = await world.stripe.invoices.list({ subscription, limit: 100 });
  const stranger = world.browser();
  return [
    check("Ada reads her invoices", invoices.data.length, await readable(ada)),
    check("Grace reads none of them", 0, await readable(grace)),
    check(
      "who is not signed in is refused",
      "permission denied for schema billing",
      await quietly(() => readable(stranger)),
    ),
  ];
}

/** The local Data API prints every refusal to the terminal; the one that is asked for here need not be read there. */
async function quietly<T>(ask: () => Promise<T>): Promise<T> {
  const print = console.error;
  console.error = () => {};
  try {
    return await ask();
  } finally {
    console.error = print;
  }
}

/** How many invoices a browser can read, or why it cannot. */
async function readable(browser: SupabaseClient): Promise<number | string> {
  const { data, error } = await browser.schema("billing").from("invoices").select("id");
  return error ? error.message : data.length;
}

async function ids(list: AsyncIterable<{ id: string }>): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of list) found.push(id);
  return found.sort();
}

function seconds(at: Date | null | undefined): number | null {
  return at ? at.getTime() / 1000 : null;
}
