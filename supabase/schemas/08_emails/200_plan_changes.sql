-- Plan changes: what a subscription was before an update and is after it, as far as its items' prices and quantities go.
-- Changes that follow each other before their mail leaves are told as one, from the first state to the last.
-- Reads: outbox, emails, products, invoices, subscriptions. Writes: nothing. Called by: change_emails, write_emails.

create function billing_private.plan_signature(p_items jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(s.signature order by s.signature)
    from jsonb_array_elements(p_items) as e (item)
    cross join lateral billing_private.price_of_item(e.item) as p
    cross join lateral (
      select jsonb_build_array(
        billing_private.item_product(e.item), e.item -> 'quantity', p.currency, p.transform_quantity,
        coalesce(p.recurring ->> 'interval', ''), coalesce(p.recurring ->> 'interval_count', '1'),
        coalesce(p.recurring ->> 'usage_type', 'licensed'),
        coalesce(
          trim_scale(billing_private.decimal_amount(
            jsonb_build_object('unit_amount', p.unit_amount, 'unit_amount_decimal', p.unit_amount_decimal), 'unit_amount'
          ))::text,
          -- Tiers are told by no event: another price may be another's tiers.
          p.id
        )
      ) as signature
    ) as s
  );
end;
$$;

comment on function billing_private.plan_signature is
  'What items of a subscription are for whoever pays: product, quantity, amount, interval of each. Another price of the same amount for the same is no other plan.';

create function billing_private.email_plan(p_subscription jsonb, p_at timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if jsonb_typeof(p_subscription #> '{items,data}') is distinct from 'array' then
    return null;
  end if;
  return jsonb_build_object(
    'signature', billing_private.plan_signature(p_subscription #> '{items,data}'),
    'lines', (
      select jsonb_agg(
        jsonb_build_object('product', billing_private.item_product(e.item), 'quantity', e.item -> 'quantity')
        order by e.item ->> 'created', e.item ->> 'id'
      )
      from jsonb_array_elements(p_subscription #> '{items,data}') as e (item)
    ),
    'price', billing_private.email_price(p_subscription, p_at)
  );
end;
$$;

comment on function billing_private.email_plan is
  'The plan of a subscription in Stripe''s shape, as a mail may tell of it: {signature, lines: [{product, quantity}], price}. Null where its items are not told.';

create function billing_private.plan_before(p_event billing.stripe_events)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
begin
  -- Of arrays Stripe names the whole, as it was.
  if jsonb_typeof(previous #> '{items,data}') is distinct from 'array'
    or jsonb_typeof(o #> '{items,data}') is distinct from 'array'
    or o #> '{items,has_more}' = 'true'
    or billing_private.plan_signature(previous #> '{items,data}') = billing_private.plan_signature(o #> '{items,data}')
  then
    return null;
  end if;
  return billing_private.email_plan(
    o || previous || jsonb_build_object('items', (o -> 'items') || (previous -> 'items')), p_event.created
  );
end;
$$;

comment on function billing_private.plan_before is
  'The plan that an update of a subscription left; null where it left none: metadata, a new period, or another price of the same amount.';

create function billing_private.plan_lines(p_lines jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(
      jsonb_build_object('name', billing_private.plain_line(p.name, 250), 'quantity', l.line -> 'quantity') order by l.place
    )
    from jsonb_array_elements(p_lines) with ordinality as l (line, place)
    left join billing.products as p on p.id = l.line ->> 'product'
  );
end;
$$;

comment on function billing_private.plan_lines is 'Lines of email_plan with the products'' names, as they are known by now: [{name, quantity}].';

create function billing_private.charged_for_change(p_subscription text, p_since timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('amount', sum(i.amount_paid), 'currency', min(i.currency))
    from billing.invoices as i
    where i.subscription = p_subscription
      and i.billing_reason = 'subscription_update'
      -- The invoice may be made in the second before the change is told.
      and i.created >= p_since - interval '1 minute'
      and i.deleted_at is null
      and i.status is distinct from 'void'
    having bool_and(i.status = 'paid') and count(distinct i.currency) = 1
  );
end;
$$;

comment on function billing_private.charged_for_change is
  'What was charged for changes of a subscription since then, {amount, currency}; null where no invoice was made for them, or one is not paid.';

create function billing_private.pending_plan_change(p_effect billing.outbox, out before jsonb, out since timestamptz, out was_to_end_at jsonb, out obstacle text)
language plpgsql
stable
set search_path = ''
as $$
declare
  happened constant timestamptz := (p_effect.payload ->> 'happened_at')::timestamptz;
begin
  with changes as (
    select
      o.id, o.payload, (o.payload ->> 'happened_at')::timestamptz as happened_at,
      exists (select from billing.emails as e where e.outbox_id = o.id) as is_told,
      o.status in ('pending', 'claimed') or o.last_error ->> 'message' = 'told_with_a_later_one' as is_to_be_told
    from billing.outbox as o
    where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
        = p_effect.payload ->> 'customer'
      and o.payload ->> 'template' = 'plan-changed'
      and o.payload ->> 'subscription' = p_effect.payload ->> 'subscription'
  ),
  untold as (
    select c.*
    from changes as c
    where not c.is_told
      and c.is_to_be_told
      and c.happened_at > coalesce((select max(t.happened_at) from changes as t where t.is_told), '-infinity')
  )
  select
    (array_agg(u.payload -> 'before' order by u.happened_at, u.id))[1],
    min(u.happened_at),
    (array_agg(u.payload -> 'was_to_end_at' order by u.happened_at desc, u.id desc) filter (where u.payload ? 'was_to_end_at'))[1],
    case
      when count(*) filter (where u.id = p_effect.id) = 0 then 'out_of_date'
      when bool_or((u.happened_at, u.id) > (happened, p_effect.id)) then 'told_with_a_later_one'
    end
  into before, since, was_to_end_at, obstacle
  from untold as u;
end;
$$;

comment on function billing_private.pending_plan_change is
  'Of a change of plan that is to be told: the plan that was told last, and since when it is another; or what speaks against telling it: out_of_date, a later one was told; told_with_a_later_one, which waits.';

create function billing_private.plan_change_props(p_effect billing.outbox, out props jsonb, out obstacle text)
language plpgsql
stable
set search_path = ''
as $$
declare
  change constant record := billing_private.pending_plan_change(p_effect);
  known billing.subscriptions;
  now_told jsonb;
begin
  select * into known from billing.subscriptions as s where s.id = p_effect.payload ->> 'subscription';
  now_told := coalesce(
    billing_private.email_plan(billing_private.shown_subscription(known.id), change.since), p_effect.payload -> 'after'
  );
  obstacle := case
    when change.obstacle is not null then change.obstacle
    when known.status is null or known.status in ('incomplete', 'incomplete_expired', 'canceled') then 'out_of_date'
    when now_told -> 'signature' = change.before -> 'signature' then 'taken_back'
  end;
  if obstacle is null then
    props := jsonb_build_object(
      'customerName', null,
      'changedAt', change.since,
      'before', billing_private.plan_lines(change.before -> 'lines'),
      'after', billing_private.plan_lines(now_told -> 'lines'),
      'priceBefore', change.before -> 'price',
      'priceAfter', now_told -> 'price',
      'charged', billing_private.charged_for_change(known.id, change.since),
      'nextPaymentAt', case
        when billing_private.renews_at(known, known.current_period_end) or billing_private.runs_without_end(known) then known.current_period_end
      end,
      'noLongerEndsAt', case when billing_private.runs_without_end(known) then change.was_to_end_at end
    );
  end if;
end;
$$;

comment on function billing_private.plan_change_props is
  'What the email about a changed plan says; or what speaks against it: see pending_plan_change, and taken_back, the plan is the one that was told last.';
