import type Stripe from "stripe";
import { DAY, type DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";

/** Somebody whose renewal has just failed, and whatever was sent about it. `outcome` is what becomes of the card. */
export async function overdueSubscriber(
  world: DunningWorld,
  { outcome, ...options }: Parameters<DunningWorld["subscribe"]>[0] & { outcome?: string } = {},
): Promise<Subscriber> {
  const somebody = await newSubscriber(world, options);
  await world.breakCard(somebody, outcome);
  await world.renew(somebody);
  return somebody;
}

/** Somebody who has paid so far. */
export async function newSubscriber(
  world: DunningWorld,
  options: Parameters<DunningWorld["subscribe"]>[0] = {},
): Promise<Subscriber> {
  const somebody = await world.subscribe(options);
  await world.arrive();
  await world.deliver();
  return somebody;
}

export async function days(world: DunningWorld, count: number): Promise<void> {
  for (let day = 0; day < count; day++) await world.nextDay();
}

/** Time passes and Stripe goes on, while nothing of ours runs. */
export async function nobodyRuns(world: DunningWorld, count: number): Promise<void> {
  await world.passTime(new Date(world.now.getTime() + count * DAY));
}

/** A few hours, in which events arrive and mail leaves. */
export async function hours(world: DunningWorld, count: number): Promise<void> {
  await world.passTime(new Date(world.now.getTime() + count * HOUR));
  await world.deliver();
}

/** The templates of the mails that left for somebody, but for receipts. */
export function mails(world: DunningWorld, { email }: Pick<Subscriber, "email">): string[] {
  return world.mailsTo(email).filter((template) => template !== "payment-receipt");
}

export const NOTICE = "payment-failed-notice";
export const URGENT = "payment-failed-urgent";
export const FINAL = "payment-failed-final";
export const RECOVERED = "payment-recovered";
export const CANCELED = "subscription-canceled";

/** The invoice somebody owes, as Stripe has it. */
export async function openInvoice(
  world: DunningWorld,
  { subscription }: Subscriber,
): Promise<Stripe.Invoice> {
  const { data } = await world.stripe.invoices.list({ subscription, status: "open" });
  if (data[0] === undefined) throw new Error(`${subscription} has no open invoice`);
  return data[0];
}

/** The card works again and the invoice is paid; the events are not told yet. */
export async function payAtStripe(world: DunningWorld, somebody: Subscriber): Promise<void> {
  const { id } = await openInvoice(world, somebody);
  await world.breakCard(somebody, "succeed");
  await world.stripe.invoices.pay(String(id));
}

/** The same, told and answered. */
export async function pay(world: DunningWorld, somebody: Subscriber): Promise<void> {
  await payAtStripe(world, somebody);
  await world.arrive();
  await world.deliver();
}

export interface ShownCase {
  id: number;
  status: string;
  outcome: string | null;
  holds: string[];
  amount_due: number;
  amount_recovered: number;
}

/** The newest case of a subscription or an invoice. */
export async function caseOf({ database }: DunningWorld, subject: string): Promise<ShownCase | undefined> {
  const [found] = await database.sql<ShownCase[]>`
    select id::int, status, outcome, holds, amount_due::int, amount_recovered::int
    from billing.dunning_cases where subject_id = ${subject} order by id desc limit 1`;
  return found;
}

/** What was done about a subject, in order: `notice sent`, `end done`, … */
export async function stepsOf({ database }: DunningWorld, subject: string): Promise<string[]> {
  const found = await database.sql<{ step: string }[]>`
    select d.kind || ' ' || d.status as step
    from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id
    where c.subject_id = ${subject} order by d.id`;
  return found.map(({ step }) => step);
}

/** The plain text of the newest mail to an address, of a template where one is named. */
export async function lastText({ database }: DunningWorld, email: string, template = "%"): Promise<string> {
  const [found] = await database.sql<{ text: string }[]>`
    select text from billing.emails
    where to_address = ${email} and template like ${template} order by outbox_id desc limit 1`;
  return found?.text ?? "";
}

/** What a person is alerted of. */
export async function alerts({ database }: DunningWorld): Promise<string[]> {
  const found = await database.sql<{ cause: string }[]>`
    select payload ->> 'cause' as cause from billing.outbox where kind = 'alert' order by id`;
  return found.map(({ cause }) => cause);
}

/** How often Stripe did something to an object. */
export function done(world: DunningWorld, kind: string, object: string): number {
  return world.local.ledger.effects.filter((effect) => effect.kind === kind && effect.object === object)
    .length;
}

/** Leaves effects whose key begins so, and that have failed before, with their last try. */
export async function wearOut({ database }: DunningWorld, key: string): Promise<void> {
  await database.sql`
    update billing.outbox set attempts = excused_attempts + billing_private.max_attempts() - 1
    where status = 'pending' and attempts > excused_attempts and dedupe_key like ${`${key}%`}`;
}

/** A statement of a person at the SQL editor, or of the service. */
export async function asService(world: DunningWorld, call: string, ...values: unknown[]): Promise<unknown> {
  return world.database.asService(
    async (sql) => (await sql.unsafe(`select ${call} as answer`, values as never[]))[0]?.answer,
  );
}
