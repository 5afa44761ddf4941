import type Stripe from "stripe";
import type { SentMail } from "../../../scripts/local/inbox/core/ledger.ts";
import type { Breach as AnyBreach, Invariant as AnyInvariant } from "../simulation/player.ts";
import type { SimulatedCustomer } from "./customer.ts";
import type { Simulation } from "./simulation.ts";

export interface Case {
  id: number;
  subject_id: string;
  customer: string;
  subscription: string | null;
  currency: string;
  status: string;
  outcome: string | null;
  anchor_at: Date;
  holds: string[];
  /** In the currency's smallest unit. */
  amount_recovered: number;
  opened_at: Date;
  closed_at: Date | null;
  policy: string;
  end_action: string;
}

export interface DunningAction {
  id: number;
  case_id: number;
  position: number;
  kind: string;
  anchor_invoice: string;
  invoices: string[];
  status: string;
  decided_at: Date;
  finished_at: Date | null;
  /** The end that the mail was about, from the action's row. */
  ends_at: Date | null;
  superseded_at: Date | null;
  note: string | null;
  /** Tag of the mail that was sent for it. */
  tag: string | null;
}

export interface Email {
  tag: string;
  text: string;
  template: string;
  customer_id: string;
  dedupe_key: string;
  status: string;
  effect_status: string;
  created_at: Date;
  sent_at: Date | null;
}

/** The tables and the ledgers of Stripe and Resend at the end of a simulation. */
export interface Evidence {
  simulation: Simulation;
  cases: Case[];
  dunningActions: DunningAction[];
  emails: Email[];
  /** By case: every invoice that it was ever about. */
  caseInvoices: Map<number, string[]>;
  /** Invoices for which a resumption was planned, done or not. */
  resumesOnPayment: Set<string>;
  /** By tag. */
  mails: Map<string, SentMail[]>;
  /** When the database first received an event that an invoice is paid, voided or written off. */
  closedAt: Map<string, Date>;
  /** When it first received an event that an invoice is, or will be, overdue. Reads of Stripe do not count. */
  knownAt: Map<string, Date>;
  subscriptions: Map<string, { status: string; case_id: string | null }>;
  invoices: Map<string, { status: string; amount_remaining: string; customer: string }>;
  /** The state at Stripe. */
  atStripe: { subscriptions: Stripe.Subscription[]; invoices: Stripe.Invoice[] };
  customerOf(id: string): SimulatedCustomer;
}

/** A breach of an invariant in the case of one customer. */
export interface Breach extends AnyBreach {
  /** Stripe's id of the customer. */
  customer: string;
}
export type Invariant = AnyInvariant<Evidence, Breach>;

/** Reads the evidence when a simulation has been played. */
export async function gather(simulation: Simulation): Promise<Evidence> {
  const { sql } = simulation.world.database;
  // They pay for seats, on time and beside what is looked at here.
  const others = simulation.teams?.seats.customers ?? [];
  const cases = await sql<Case[]>`
    select c.id::integer, c.subject_id, c.customer, c.subscription, c.currency, c.status, c.outcome, c.anchor_at, c.holds,
      c.amount_recovered::integer as amount_recovered,
      c.opened_at, c.closed_at, p.name as policy, p.end_action
    from billing.dunning_cases as c join billing.dunning_policies as p on p.id = c.policy_id
    order by c.id`;
  const dunningActions = await sql<DunningAction[]>`
    select d.id::integer, d.case_id::integer, d.position, d.kind, d.anchor_invoice, d.invoices, d.status, d.decided_at,
      d.finished_at, d.ends_at, d.superseded_at, d.note, e.tag::text
    from billing.dunning_actions as d left join billing.emails as e on e.outbox_id = d.outbox_id
    order by d.id`;
  const emails = await sql<Email[]>`
    select e.tag::text, e.text, e.template, e.customer_id, e.dedupe_key, e.status, o.status as effect_status, e.created_at, e.sent_at
    from billing.emails as e join billing.outbox as o on o.id = e.outbox_id
    where e.customer_id <> all (${others})
    order by e.id`;
  const mailsToOthers = new Set(
    (
      await sql<{ tag: string }[]>`select tag::text from billing.emails where customer_id = any (${others})`
    ).map(({ tag }) => tag),
  );
  const closed = await sql<{ invoice: string; at: Date }[]>`
    select object_id as invoice, min(${projectedAt(sql)}) as at
    from billing.webhook_events as e
    where type in ('invoice.paid', 'invoice.payment_succeeded', 'invoice.voided', 'invoice.marked_uncollectible')
    group by object_id`;
  const known = await sql<{ invoice: string; at: Date }[]>`
    select object_id as invoice, min(${projectedAt(sql)}) as at
    from billing.stripe_events as e
    where type like 'invoice.%'
      and payload #>> '{data,object,status}' = 'open'
      and (
        (payload #>> '{data,object,attempt_count}')::int > 0
        or payload #>> '{data,object,due_date}' is not null
      )
    group by object_id`;
  const about = await sql<{ id: number; invoices: string[] }[]>`
    select case_id::integer as id, array_agg(invoice) as invoices from billing.dunning_case_invoices group by case_id`;
  const resumptions = await sql<{ invoice: string }[]>`select invoice from billing.dunning_resumptions`;
  const subscriptions = await sql<{ id: string; status: string; case_id: string | null }[]>`
    select id, status, metadata ->> 'duebase_dunning_case' as case_id from billing.subscriptions`;
  const invoices = await sql<{ id: string; status: string; amount_remaining: string; customer: string }[]>`
    select id, status, amount_remaining::text, customer from billing.invoices`;
  const mails = new Map<string, SentMail[]>();
  for (const mail of simulation.world.inbox.ledger.mails) {
    const tag = mail.tags.duebase_email ?? "none";
    if (mailsToOthers.has(tag)) continue;
    mails.set(tag, [...(mails.get(tag) ?? []), mail]);
  }
  const byId = new Map(simulation.customers.map((customer) => [customer.id, customer]));
  return {
    simulation,
    cases,
    dunningActions,
    emails,
    mails,
    caseInvoices: new Map(about.map(({ id, invoices }) => [id, invoices])),
    resumesOnPayment: new Set(resumptions.map(({ invoice }) => invoice)),
    closedAt: new Map(closed.map(({ invoice, at }) => [invoice, at])),
    knownAt: new Map(known.map(({ invoice, at }) => [invoice, at])),
    subscriptions: new Map(subscriptions.map((row) => [row.id, row])),
    invoices: new Map(invoices.map((row) => [row.id, row])),
    atStripe: await readStripe(simulation),
    customerOf: (id) => {
      const customer = byId.get(id);
      if (customer === undefined) throw new Error(`nobody here is ${id}`);
      return customer;
    },
  };
}

/** When an event was projected: at its replay, where it had been quarantined. */
function projectedAt(sql: Evidence["simulation"]["world"]["database"]["sql"]): ReturnType<typeof sql> {
  return sql`coalesce(
    (select f.resolved_at from billing.failed_webhooks as f where f.event_id = e.id), received_at
  )`;
}

async function readStripe({ world, customers }: Simulation): Promise<Evidence["atStripe"]> {
  const subscriptions: Stripe.Subscription[] = [];
  const invoices: Stripe.Invoice[] = [];
  for (const { id } of customers) {
    subscriptions.push(
      ...(await world.stripe.subscriptions.list({ customer: id, status: "all", limit: 100 })).data,
    );
    invoices.push(...(await world.stripe.invoices.list({ customer: id, limit: 100 })).data);
  }
  return { subscriptions, invoices };
}

/** The mail of an action, if one was sent. */
export function mailOf(action: DunningAction, { mails }: Evidence): SentMail | undefined {
  return action.tag === null ? undefined : mails.get(action.tag)?.[0];
}
