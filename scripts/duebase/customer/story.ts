import type { TransactionSql } from "postgres";
import type { FoundCustomer } from "./find.ts";

/** What of the story an entry belongs to. */
export type EntryKind = "event" | "mail" | "dunning" | "charge" | "access" | "note";

/** One thing that happened, at one time. */
export interface Entry {
  at: Date;
  kind: EntryKind;
  /** What happened, in few words. */
  what: string;
  /** What became of it: a status. */
  outcome: string;
  /** Why, where that is known. */
  why: string | null;
  /** Minor units of currency. */
  amount: number | null;
  currency: string | null;
  /** Id of what it was. */
  id: string;
  /** Whether somebody should look at it. */
  is_bad: boolean;
}

export interface SubscriptionNow {
  id: string;
  status: string;
  products: string | null;
  current_period_end: Date | null;
  ends_at: Date | null;
  open_amount: number;
  overdue_amount: number;
  overdue_since: Date | null;
  currency: string | null;
  dunning_since: Date | null;
  dunning_holds: string[] | null;
}

export interface AccessNow {
  feature: string;
  valid_until: Date | null;
  sources: string[];
}

export interface CustomerStory {
  customer: FoundCustomer;
  /** The database's clock. */
  as_of: Date;
  subscriptions: SubscriptionNow[];
  /** The features that its owner has. */
  access: AccessNow[];
  /** Why no mail goes to its address; null: mails go. */
  suppressed: string | null;
  /** In the order in which it happened. */
  story: Entry[];
  /** Whether more happened before the first entry. */
  has_more: boolean;
}

type Row = Omit<Entry, "kind" | "amount"> & { amount: string | null };

/**
 * One customer's story, from the newest backwards as far as `limit` goes, told in the order in which it happened.
 *
 * @param limit entries at most
 */
export async function readStory(
  sql: TransactionSql,
  customer: FoundCustomer,
  limit: number,
): Promise<CustomerStory> {
  const [clock] = await sql<{ now: Date }[]>`select now()`;
  const parts: Entry[] = [];
  for (const [kind, read] of Object.entries(readers) as [EntryKind, Reader][]) {
    const rows = await read(sql, customer, limit + 1);
    parts.push(
      ...rows.map((row) => ({ ...row, kind, amount: row.amount === null ? null : Number(row.amount) })),
    );
  }
  // Of one time they stay in the order of the readers.
  parts.sort((a, b) => a.at.getTime() - b.at.getTime());
  return {
    customer,
    as_of: clock?.now ?? new Date(),
    subscriptions: await readSubscriptions(sql, customer.id),
    access: await readAccess(sql, customer.owner_id),
    suppressed: await readSuppression(sql, customer.email),
    story: parts.slice(-limit),
    has_more: parts.length > limit,
  };
}

type Reader = (sql: TransactionSql, customer: FoundCustomer, limit: number) => Promise<Row[]>;

/** In the order in which things of the same moment are told: what was heard, what was done, what it led to. */
const readers: Record<EntryKind, Reader> = {
  event: async (sql, { id }, limit) => [
    ...(await sql<Row[]>`
      select
        e.created as at, e.type as what, e.id, null as amount, null as currency,
        case f.status
          when 'retrying' then 'failed, tried again at ' || to_char(f.next_attempt_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
          when 'resolved' then 'processed, after it had failed'
          else coalesce(f.status, 'processed')
        end || case when d.times > 0 then format(', delivered %s times', d.times + 1) else '' end as outcome,
        coalesce(
          case when f.status in ('dead', 'retrying', 'quarantined') then f.error ->> 'message' end,
          case
            when m.event_id is not null then 'no webhook brought it: it was read at Stripe'
            when e.received_at - e.created > interval '10 minutes' then
              'it came on ' || to_char(e.received_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
          end
        ) as why,
        coalesce(f.status in ('dead', 'retrying', 'quarantined'), false) as is_bad
      from (
        select * from billing.webhook_events as w where w.customer_id = ${id} order by w.created desc limit ${limit}
      ) as e
      left join billing.failed_webhooks as f on f.event_id = e.id
      left join billing.missed_webhooks as m on m.event_id = e.id
      left join lateral (select count(*) as times from billing.webhook_duplicates as w where w.event_id = e.id) as d on true
      order by e.created, e.received_at, e.id`),
  ],
  charge: async (sql, { id }, limit) => [
    ...(await sql<Row[]>`
      with money as (
        select p.* from billing.payments as p where p.customer = ${id} order by p.created desc nulls last limit ${limit}
      )
      select
        coalesce(p.paid_at, p.canceled_at, p.created) as at,
        concat_ws(' ', 'payment', 'by ' || coalesce(p.payment_method_name, p.payment_method_type), 'for ' || p.invoice_id) as what,
        p.status as outcome, coalesce(f.failure_message, f.failure_code, p.failure_code) as why, p.id,
        p.amount, p.currency, p.status <> 'succeeded' and coalesce(f.failure_code, p.failure_code) is not null as is_bad
      from money as p
      left join billing.payment_failures as f on f.payment_id = p.id
      where coalesce(p.paid_at, p.canceled_at, p.created) is not null
      union all
      select r.created, 'refund of ' || r.payment_id, r.status, coalesce(r.failure_reason, r.reason), r.id, r.amount, r.currency, r.status = 'failed'
      from billing.refunds as r
      where r.payment_id in (select m.id from money as m) and r.created is not null
      union all
      select d.created, 'dispute of ' || d.payment_id, d.status, d.reason, d.id, d.amount, d.currency, d.closed_at is null
      from billing.disputes as d
      where d.payment_id in (select m.id from money as m) and d.created is not null`),
  ],
  dunning: async (sql, { id }, limit) => [
    ...(await sql<Row[]>`
      with cases as (
        select c.* from billing.dunning_cases as c where c.customer = ${id} order by c.opened_at desc limit ${limit}
      )
      select
        c.opened_at as at, format('case %s opened about %s', c.id, c.subject_id) as what,
        format('overdue since %s', to_char(c.anchor_at at time zone 'UTC', 'YYYY-MM-DD')) as outcome,
        null as why, c.id::text, c.amount_due as amount, c.currency, false as is_bad
      from cases as c
      union all
      select
        a.decided_at, format('case %s: %s', a.case_id, replace(a.kind, '_', ' ')), a.status,
        concat_ws(
          '; ', a.note,
          case when a.kind <> 'end' then 'names ' || to_char(a.ends_at at time zone 'UTC', 'YYYY-MM-DD') || ' as the end' end,
          case when a.superseded_at is not null then 'decided anew later' end
        ),
        a.case_id::text, null, null, a.status in ('undeliverable', 'failed')
      from billing.dunning_actions as a
      where a.case_id in (select c.id from cases as c)
      union all
      select
        h.at, concat_ws(' ', 'case ' || g.case_id, h.what), h.outcome, g.reason, g.id::text, null, null, false
      from (
        select * from billing.dunning_holds as o where o.customer = ${id} order by o.held_at desc limit ${limit}
      ) as g
      cross join lateral (
        values
          (g.held_at, 'held by a person', coalesce('until ' || to_char(g.held_until at time zone 'UTC', 'YYYY-MM-DD'), 'until released')),
          (g.released_at, 'no longer held', 'released')
      ) as h (at, what, outcome)
      where h.at is not null
      union all
      select
        coalesce(k.status_at, k.planned_at), format('new card charged for %s', k.invoice), k.status, k.reason, k.id::text, null, null,
        k.status = 'failed'
      from billing.dunning_charges as k
      where k.case_id in (select c.id from cases as c)
      union all
      select coalesce(r.finished_at, r.decided_at), format('%s resumed after payment', r.subscription), r.status, r.note, r.id::text,
        null, null, r.status in ('failed', 'refused')
      from (
        select * from billing.dunning_resumptions as o where o.customer = ${id} order by o.decided_at desc limit ${limit}
      ) as r
      -- Last, as what was done at the same moment led to it.
      union all
      select
        c.closed_at, format('case %s closed', c.id), c.outcome, c.note, c.id::text, c.amount_recovered, c.currency,
        c.outcome in ('ended', 'subscription_ended', 'uncollectible')
      from cases as c
      where c.closed_at is not null`),
  ],
  mail: async (sql, { id }, limit) => [
    ...(await sql<Row[]>`
      select
        coalesce(e.sent_at, e.created_at) as at, concat_ws(': ', e.template, nullif(e.subject, '')) as what,
        case
          when e.unknown_since is not null and e.sent_at is null then 'sent or not: it is not known'
          else e.status
        end as outcome,
        concat_ws('; ', 'to ' || nullif(e.to_address, ''), e.problem) as why, e.id::text, null as amount, null as currency,
        e.status in ('failed', 'bounced', 'complained') as is_bad
      from (
        select * from billing.emails as o where o.customer_id = ${id} order by o.created_at desc limit ${limit}
      ) as e
      union all
      -- Enqueued, and no mail yet, or never.
      select
        coalesce(q.finished_at, q.created_at), q.payload ->> 'template', coalesce(q.status || ': ' || q.withheld_reason, q.status),
        q.last_error ->> 'message', 'outbox ' || q.id, null, null, q.status = 'dead'
      from (
        select *
        from billing.outbox as o
        where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
            = ${id} and o.kind = 'email'
        order by o.id desc
        limit ${limit}
      ) as q
      where not exists (select from billing.emails as e where e.outbox_id = q.id)`),
  ],
  access: async (sql, { id, owner_id }, limit) => [
    ...(await sql<Row[]>`
      select
        a.occurred_at as at,
        format('feature %s', a.detail ->> 'feature') as what, split_part(a.action, '.', 2) as outcome,
        'by ' || (select string_agg(s.source, ', ') from jsonb_array_elements_text(a.detail -> 'sources') as s (source)) as why,
        a.id::text, null as amount, null as currency, false as is_bad
      from billing.audit_events as a
      where a.action in ('entitlement.granted', 'entitlement.revoked')
        and (a.customer_id = ${id} or a.subject_id = ${owner_id})
      order by a.occurred_at desc
      limit ${limit}`),
  ],
  note: async (sql, { id }, limit) => [
    ...(await sql<Row[]>`
      select
        a.occurred_at as at, a.action as what, 'by ' || a.actor as outcome,
        coalesce(a.detail ->> 'note', a.detail ->> 'reason', a.detail ->> 'cause', a.detail ->> 'owner_id') as why,
        a.id::text, null as amount, null as currency, false as is_bad
      from billing.audit_events as a
      where a.customer_id = ${id}
        and a.actor <> 'stripe'
        -- These are told by their own tables, and better.
        and a.action not like 'entitlement.%' and a.action not like 'dunning.%'
      order by a.occurred_at desc
      limit ${limit}`),
  ],
};

async function readSubscriptions(sql: TransactionSql, customer: string): Promise<SubscriptionNow[]> {
  const rows = await sql<(SubscriptionNow & { open_amount: string; overdue_amount: string })[]>`
    select
      s.id, s.status, s.products, s.current_period_end, s.ends_at, s.open_amount, s.overdue_amount, s.overdue_since, s.currency,
      s.dunning_since, s.dunning_holds
    from billing.subscription_overview as s
    where s.customer = ${customer}
    order by s.created desc, s.id
    limit 50`;
  return rows.map((row) => ({
    ...row,
    open_amount: Number(row.open_amount),
    overdue_amount: Number(row.overdue_amount),
  }));
}

async function readAccess(sql: TransactionSql, owner: string | null): Promise<AccessNow[]> {
  if (owner === null) return [];
  return [
    ...(await sql<AccessNow[]>`
      select e.feature, e.valid_until, e.sources
      from billing.entitlements as e
      where e.owner_id = ${owner} and (e.valid_until is null or e.valid_until > now())
      order by e.feature`),
  ];
}

async function readSuppression(sql: TransactionSql, email: string | null): Promise<string | null> {
  if (email === null) return null;
  const [row] = await sql<{ reason: string }[]>`
    select s.reason from billing.suppressed_addresses as s
    where s.address in (lower(${email}), billing_private.address_digest(${email}))`;
  return row?.reason ?? null;
}
