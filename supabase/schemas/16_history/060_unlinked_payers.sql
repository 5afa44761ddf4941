-- Unlinked payers: who pays and is nobody's customer here, and so has no access.
-- Reads: subscriptions, customers. Read by: people, duebase backfill.

create view billing.unlinked_payers with (security_invoker = true) as
select
  s.customer,
  c.email,
  c.name,
  count(*) as subscriptions,
  min(s.created) as paying_since
from billing.subscriptions as s
left join billing.customers as c on c.id = s.customer
where s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') and c.owner_id is null and c.deleted_at is null
group by s.customer, c.email, c.name;

comment on view billing.unlinked_payers is
  'Customers with a running subscription that belong to no owner: they pay and have no access. Link them by billing.link_customers.';
comment on column billing.unlinked_payers.customer is 'Stripe''s customer id (cus_…).';
comment on column billing.unlinked_payers.subscriptions is 'How many of theirs are running.';
comment on column billing.unlinked_payers.paying_since is 'When the first of these was made (UTC).';

grant select on billing.unlinked_payers to service_role;
