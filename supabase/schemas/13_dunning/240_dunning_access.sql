-- Access: what dunning says of it, asked wherever entitlements and usage are computed.
-- Reads: dunning cases, policies, subscriptions. Writes: nothing. Called by: entitlements, usage, mails, my_billing_status.

create or replace function billing_private.dunning_access(p_subscription_id text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  newest billing.dunning_cases;
  policy billing.dunning_policies;
begin
  select * into newest from billing.dunning_cases as c where c.subscription = p_subscription_id order by c.id desc limit 1;
  if not found then
    return null;
  elsif exists (
    -- Opened before this was known. What never began, is paused or over has no access to keep.
    select
    from billing.subscriptions as s
    where s.id = p_subscription_id and newest.status = 'open' and s.status in ('incomplete', 'incomplete_expired', 'paused', 'canceled')
  ) then
    return null;
  end if;
  select * into policy from billing.dunning_policies as p where p.id = newest.policy_id;
  return case
    when newest.status = 'open' then policy.keeps_access
    when newest.outcome = 'ended' and policy.end_action = 'pause' and billing_private.ended_by_dunning(newest) then false
  end;
end;
$$;

comment on function billing_private.dunning_access is
  'What dunning says of a subscription''s access: true, kept while its case is open (grace); false, taken at once by a policy without grace, or by the pause that ended the case; null, nothing: its status decides.';
