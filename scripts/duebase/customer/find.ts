import type { TransactionSql } from "postgres";

/** A customer that an operator may have meant. */
export interface FoundCustomer {
  id: string;
  email: string | null;
  name: string | null;
  owner_id: string | null;
  deleted_at: Date | null;
  /** When the person was forgotten: names and addresses are gone. Null: they were not. */
  forgotten_at: Date | null;
}

/** So many are shown where a word fits several. */
const MOST = 20;

/**
 * The customers that fit what somebody asks about: the id of a customer, of a subscription, an invoice or a payment of
 * theirs, of the owner in the application; an email address, also one that only mails went to, and one of a person who
 * was forgotten, of which the digest is kept.
 */
export async function findCustomers(sql: TransactionSql, who: string): Promise<FoundCustomer[]> {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(who);
  const rows = await sql<FoundCustomer[]>`
    with found as (
      select c.id from billing.customers as c where c.id = ${who}
      union
      select c.id from billing.customers as c where c.owner_id = ${isUuid ? who : null}::uuid
      union
      select c.id from billing.customers as c where lower(c.email) = lower(${who})
      union
      select e.customer_id
      from billing.emails as e
      where lower(e.to_address) in (lower(${who}), billing_private.address_digest(${who})) and position('@' in ${who}) > 0
      union
      select s.customer from billing.subscriptions as s where s.id = ${who}
      union
      select i.customer from billing.invoices as i where i.id = ${who}
      union
      select p.customer from billing.payments as p where p.id = ${who}
      union
      -- Whatever it is: an event was about it.
      select e.customer_id from billing.webhook_events as e where e.object_id = ${who} or e.id = ${who} or e.customer_id = ${who}
    )
    select
      f.id, c.email, c.name, c.owner_id, c.deleted_at,
      (
        select max(a.occurred_at)
        from billing.audit_events as a
        where a.action = 'user.forgotten' and a.detail -> 'customers' ? f.id
      ) as forgotten_at
    from found as f
    left join billing.customers as c on c.id = f.id
    where f.id is not null
    order by c.created desc nulls last, f.id
    limit ${MOST}`;
  return [...rows];
}
