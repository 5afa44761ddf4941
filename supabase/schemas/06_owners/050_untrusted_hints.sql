-- Untrusted hints: what payers wrote about who they are, where it was not followed.
-- Reads: checkout_sessions, customers. Writes: nothing. Read by: operators.

create view billing.owner_hints
with (security_invoker = true)
as
select
  s.id as session,
  s.client_reference_id as hinted_owner,
  s.payment_link,
  s.customer,
  c.owner_id,
  c.email,
  s.completed_at
from billing.checkout_sessions as s
left join billing.customers as c on c.id = s.customer
where s.client_reference_id is not null
  and s.completed_at is not null
  and nullif(btrim(coalesce(s.metadata ->> 'owner_id', s.metadata ->> 'user_id', '')), '') is null
  and c.owner_id::text is distinct from lower(btrim(s.client_reference_id));

comment on view billing.owner_hints is
  'Completed checkouts whose client_reference_id names somebody whom the customer is not linked to: settings.trust_client_reference_id does not believe it, something that counts for more says otherwise, or there is no such user. If it is right, set metadata.owner_id of the customer at Stripe.';
comment on column billing.owner_hints.session is 'Checkout session (billing.checkout_sessions.id).';
comment on column billing.owner_hints.hinted_owner is 'client_reference_id, as the payer or the application wrote it.';
comment on column billing.owner_hints.payment_link is 'Payment Link (plink_…) that made the session; null for none, and for a pricing table.';
comment on column billing.owner_hints.owner_id is 'The user the customer is linked to; null: none.';
comment on column billing.owner_hints.completed_at is 'When it was completed (UTC).';

grant select on billing.owner_hints to service_role;
