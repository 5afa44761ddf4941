-- Stripe identity: by what a Stripe key shows that it is of the account and mode this project mirrors.
-- Reads: settings, customers, subscriptions, stripe_events, failed_webhooks. Writes: nothing. Called by: duebase-deliver.

create function billing_private.newest_witnesses(p_object text, p_livemode boolean)
returns jsonb
language sql
stable
set search_path = ''
as $$
  with newest as (
    -- A bound: of what was read from Stripe itself, which proves nothing, there may be any number.
    (
      select s.id, s.created
      from billing.subscriptions as s
      where p_object = 'subscription' and s.livemode = p_livemode
      order by s.created desc
      limit 20
    )
    union all
    (
      select c.id, c.created
      from billing.customers as c
      where p_object = 'customer' and c.livemode = p_livemode
      order by c.created desc
      limit 20
    )
  ),
  known as (
    select n.id
    from newest as n
    cross join lateral (
      select e.payload #>> '{data,object,test_clock}' as test_clock
      from billing.stripe_events as e
      where e.object_id = n.id
        -- A payload that is gone does not tell whether it lived under a test clock; in live mode there are none.
        and (p_livemode or e.payload is not null)
        and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status = 'quarantined')
      limit 1
    ) as e
    -- Who deletes a test clock deletes whatever lives under it.
    where e.test_clock is null
    order by n.created desc, n.id
    limit 3
  )
  select jsonb_agg(jsonb_build_object('object', p_object, 'id', t.id)) from known as t;
$$;

comment on function billing_private.newest_witnesses is
  'The newest three objects of a kind that an event told of, as [{object, id}], null where there are none: the right key finds them.';

create function billing.stripe_identity()
returns jsonb
language plpgsql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'livemode', s.livemode,
      'account', s.stripe_account,
      -- Customers keep their ids when they are copied to another account, subscriptions do not.
      'witnesses', coalesce(
        billing_private.newest_witnesses('subscription', s.livemode), billing_private.newest_witnesses('customer', s.livemode), '[]'
      )
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing.stripe_identity is
  'For duebase-deliver and duebase-dunning: {livemode, account, witnesses}, the mode and the connected account that this project mirrors, and up to three objects that Stripe told of and never deletes. A key that finds none of them is of another account or mode.';

grant execute on function billing.stripe_identity() to service_role;
