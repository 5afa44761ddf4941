-- Resuming: a subscription that was paused for non-payment is resumed once it is paid: at Stripe, in access, and with a mail.
-- Whether one is due follows from what is known, whatever the order: it is checked with each event and read that
-- may make it due, and in each daily run, which finds what no event showed and what failed before.
-- Reads: subscriptions, invoices, dunning cases. Writes: dunning_resumptions, dunning_cases, outbox, audit_events.
-- Called by: projection, refreshes, duebase-deliver, the daily run.

create table billing.dunning_resumptions (
  id bigint generated always as identity primary key,
  customer text not null,
  subscription text not null,
  invoice text not null,
  status text not null,
  decided_at timestamptz not null,
  due_at timestamptz not null,
  latest_invoice text,
  finished_at timestamptz,
  note text,
  constraint status_is_known check (status in ('planned', 'done', 'not_needed', 'called_off', 'failed', 'refused')),
  constraint due_when_decided_or_later check (due_at >= decided_at),
  constraint only_the_planned_are_unfinished check ((status = 'planned') = (finished_at is null))
);

comment on table billing.dunning_resumptions is
  'One row per subscription that was paused for non-payment and whose debt was paid: whether, and when, it was resumed.';
comment on column billing.dunning_resumptions.customer is 'Who paid (billing.customers.id).';
comment on column billing.dunning_resumptions.subscription is 'What was paused (billing.subscriptions.id).';
comment on column billing.dunning_resumptions.invoice is 'The invoice that was paid last (billing.invoices.id), after which nothing was owed any more.';
comment on column billing.dunning_resumptions.status is
  'planned: due in the outbox. done: resumed at Stripe. not_needed: Stripe, or a person, was first. called_off: something speaks against it, see note; it is planned anew once nothing does. failed: out of tries, and alerted; the next daily run plans it anew. refused: Stripe refused for good, and an alert says what to do.';
comment on column billing.dunning_resumptions.decided_at is 'When it was planned (UTC).';
comment on column billing.dunning_resumptions.due_at is
  'Not before this time (UTC): where Stripe paused, it has an hour to resume by itself, as an account can be set to.';
comment on column billing.dunning_resumptions.latest_invoice is
  'The subscription''s newest invoice before it was resumed. Another one afterwards was made by resuming, and is alerted.';
comment on column billing.dunning_resumptions.finished_at is 'When it came to its status (UTC).';
comment on column billing.dunning_resumptions.note is 'Why it came to this status, where that needs saying.';

create unique index one_resumption_is_planned_at_a_time on billing.dunning_resumptions (subscription) where status = 'planned';
create index dunning_resumptions_by_customer on billing.dunning_resumptions (customer);
create index dunning_resumptions_by_subscription on billing.dunning_resumptions (subscription);

alter table billing.dunning_resumptions enable row level security;
create policy service_role_reads on billing.dunning_resumptions for select to service_role using (true);
grant select on billing.dunning_resumptions to service_role;

create function billing_private.is_paid_since(p_subscription text, p_since timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select from billing.invoices as i where i.subscription = p_subscription and i.status = 'paid' and i.paid_at >= p_since
  );
$$;

comment on function billing_private.is_paid_since is 'Whether an invoice of a subscription was paid at p_since or later.';

create function billing_private.has_resumption_email(p_subscription text, p_resumed_at timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select
    from billing.dunning_cases as c
    where c.subscription = p_subscription
      and (
        -- What dunning paused is told of by record_end_of_pause, whichever event showed first that it goes on.
        p_resumed_at between c.closed_at - interval '10 minutes' and c.resumed_at + interval '10 minutes'
        or (
          c.outcome = 'recovered'
          and billing_private.failure_mail_state(c.id, p_resumed_at) = 'sent'
          and exists (select from billing.outbox as o where o.dedupe_key = 'recovered:' || c.id and o.status <> 'canceled')
          and exists (
            select
            from billing.dunning_case_invoices as k
            join billing.invoices as i on i.id = k.invoice
            where k.case_id = c.id and i.paid_at between p_resumed_at - interval '2 hours' and p_resumed_at
          )
        )
      )
  );
$$;

comment on function billing_private.has_resumption_email is
  'Whether another mail tells that a subscription, resumed at p_resumed_at, goes on: about the payment, or about the end of dunning''s own pause.';

create function billing_private.has_overdue_debt(p_subscription text, p_now timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select
    from billing_private.overdue_invoices as v
    left join billing.dunning_case_invoices as k on k.invoice = v.invoice
    left join billing.dunning_cases as c on c.id = k.case_id
    where v.subscription = p_subscription
      and v.overdue_since <= p_now
      -- A debt that an operator closed is not collected any more.
      and coalesce(c.outcome, 'ended') in ('ended', 'uncollectible')
  );
$$;

comment on function billing_private.has_overdue_debt is
  'Whether something of a subscription is overdue that is, or will be, dunned, or that its case left open when it ended.';

create function billing_private.has_resumption(p_subscription text, p_invoice text, p_paid_at timestamptz, p_now timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select
    from billing.dunning_resumptions as r
    where r.subscription = p_subscription
      and case r.status
        when 'planned' then true
        when 'called_off' then false
        -- As often as the daily run: neither Stripe nor whoever is alerted has it more than once a day.
        when 'failed' then r.invoice = p_invoice and r.finished_at > p_now - interval '20 hours'
        else r.invoice = p_invoice or r.decided_at >= p_paid_at
      end
  );
$$;

comment on function billing_private.has_resumption is
  'Whether a payment has, or had, its resumption: one is planned; one came to its end, by Stripe, by a person or by Stripe''s refusal; or one ran out of tries less than a day ago.';

create function billing_private.invoice_to_resume_for(p_subscription text, p_now timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  paused billing.subscriptions;
  paid billing.invoices;
begin
  select * into paused from billing.subscriptions as s where s.id = p_subscription and (s.status = 'paused' or s.pause_collection is not null);
  if not found or not billing_private.is_paused_for_nonpayment(p_subscription) or billing_private.has_overdue_debt(p_subscription, p_now) then
    return null;
  end if;
  select i.*
  into paid
  from billing.invoices as i
  where i.subscription = p_subscription
    and i.status = 'paid'
    and (
      i.paid_at >= billing_private.paused_at(paused.status_details)
      or exists (
        select
        from billing.dunning_case_invoices as k
        where k.invoice = i.id and k.case_id::text = billing_private.metadata_of(paused.id) ->> 'duebase_dunning_case'
      )
    )
  order by i.paid_at desc nulls last, i.id
  limit 1;
  return case when not billing_private.has_resumption(p_subscription, paid.id, paid.paid_at, p_now) then paid.id end;
end;
$$;

comment on function billing_private.invoice_to_resume_for is
  'The invoice (billing.invoices.id) that was paid last of a subscription which was paused for non-payment, where nothing is owed of it any more and no resumption is planned or was made; null where the subscription is not to be resumed.';

create function billing_private.plan_resumption(p_subscription text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  paid constant text := billing_private.invoice_to_resume_for(p_subscription, p_now);
  planned billing.dunning_resumptions;
begin
  if paid is null then
    return;
  end if;
  insert into billing.dunning_resumptions as r (customer, subscription, invoice, status, decided_at, due_at)
  select
    s.customer, s.id, paid, 'planned', p_now,
    p_now + case
      when billing_private.pause_cause(s.status_details) in ('first_payment_failure', 'final_payment_failure') then interval '1 hour'
      else interval '0'
    end
  from billing.subscriptions as s
  where s.id = p_subscription
  on conflict do nothing
  returning * into planned;
  if planned.id is null then
    return;
  end if;
  perform billing_private.enqueue(
    'dunning', 'resume:' || planned.id,
    jsonb_build_object('customer', planned.customer, 'resume', planned.id, 'not_before', planned.due_at),
    -- The clock it is told by may be a test clock, and ahead of ours.
    least(p_now, clock_timestamp()), least(p_now, clock_timestamp()) + (planned.due_at - planned.decided_at)
  );
end;
$$;

comment on function billing_private.plan_resumption is
  'Plans that a subscription goes on, if it was paused for non-payment, was paid since, and nothing is owed any more. One at a time, and once a payment unless it came to nothing; safe to call at any event.';

create function billing_private.plan_resumptions(p_customer text, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  select billing_private.plan_resumption(s.id, p_now)
  from billing.subscriptions as s
  where s.customer = p_customer and (s.status = 'paused' or s.pause_collection is not null)
  order by s.id;
$$;

comment on function billing_private.plan_resumptions is 'Plans whatever resumptions are owed to a customer.';

create function billing_private.record_end_of_pause(p_case billing.dunning_cases, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  resumed billing.subscriptions;
begin
  update billing.dunning_cases as c set resumed_at = p_now where c.id = p_case.id and c.resumed_at is null;
  if not found then
    return;
  end if;
  perform billing_private.audit_dunning_case(p_case, 'dunning.resumed', '{}', p_now);
  perform billing_private.refresh_entitlements(p_case.customer, p_now);
  if p_case.outcome = 'recovered' then
    -- Paid before anybody was told of the pause.
    perform billing_private.enqueue_recovery_email(p_case, p_now);
    update billing.outbox as o
    set run_after = least(o.run_after, p_now, clock_timestamp())
    where o.dedupe_key = 'recovered:' || p_case.id and o.status = 'pending';
    return;
  end if;
  select * into resumed from billing.subscriptions as s where s.id = p_case.subscription;
  perform billing_private.enqueue_email_to(
    p_case.customer, p_now, 'subscription-resumed', 'resumed-by-payment:' || p_case.id,
    jsonb_build_object('subscription', resumed.id),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'resumedAt', p_now, 'nextPaymentAt', resumed.current_period_end, 'price', billing_private.email_price_of_newest_event(resumed.id, p_now)
    ),
    p_now
  );
end;
$$;

comment on function billing_private.record_end_of_pause is
  'Notes that the pause which ended a case is over, and enqueues the one mail that says so.';

create function billing_private.update_dunning_pause(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  shown billing.subscriptions;
  known billing.dunning_cases;
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
begin
  select * into shown from billing.subscriptions as s where s.id = p_event.object_id;
  select c.*
  into known
  from billing.dunning_cases as c
  join billing.dunning_policies as p on p.id = c.policy_id and p.end_action = 'pause'
  where c.subscription = p_event.object_id
    and c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case'
    and c.status = 'closed'
    and c.resumed_at is null
    and (
      c.outcome = 'recovered' -- paid while it was being paused
      or exists (select from billing.dunning_actions as d where d.case_id = c.id and d.kind = 'end' and d.status = 'done')
    );
  if known.id is not null
    and shown.status in ('active', 'trialing', 'past_due', 'unpaid')
    and shown.pause_collection is null
    -- An event of the minutes of the pause itself may tell of the time before it.
    and (p_event.type = 'customer.subscription.resumed' or p_event.created > known.closed_at + interval '5 minutes')
  then
    perform billing_private.record_end_of_pause(known, moment);
  end if;
  perform billing_private.plan_resumption(p_event.object_id, moment);
end;
$$;

comment on function billing_private.update_dunning_pause is
  'Handler: customer.subscription.*. Notes where what dunning paused goes on, whoever resumed it; plans to resume what was paid before the pause was heard of.';

create function billing_private.plan_resumption_of_invoice(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  billed constant text := billing_private.invoice_subscription(p_event.payload #> '{data,object}');
begin
  if billed is not null then
    perform billing_private.plan_resumption(billed, greatest(p_event.received_at, p_event.created));
  end if;
end;
$$;

comment on function billing_private.plan_resumption_of_invoice is 'Handler: invoice.*, where one is paid, voided or written off. Plans to resume the subscription it bills, if that was paused because of it.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, 37, 'dunning: resumes what was paused and is paid'
from (
  values
    ('billing_private.plan_resumption_of_invoice', array['invoice.paid', 'invoice.payment_succeeded', 'invoice.updated', 'invoice.voided', 'invoice.marked_uncollectible']),
    (
      'billing_private.update_dunning_pause',
      array['customer.subscription.updated', 'customer.subscription.paused', 'customer.subscription.resumed']
    )
) as h (handler, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('invoice', 'billing_private.plan_resumption_of_invoice', 37),
  ('subscription', 'billing_private.update_dunning_pause', 37);

create function billing_private.finish_resumption_as(
  p_resumption billing.dunning_resumptions, p_status text, p_note text, p_now timestamptz
)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_resumptions as r
  set status = p_status, finished_at = p_now, note = p_note
  where r.id = p_resumption.id and r.status = 'planned';
  perform billing_private.audit(
    'dunning.resumption_' || p_status, 'system', p_resumption.subscription, p_resumption.customer,
    jsonb_strip_nulls(jsonb_build_object('resumption', p_resumption.id, 'invoice', p_resumption.invoice, 'note', p_note)), p_now
  );
  return jsonb_build_object('go', false, 'reason', p_note);
end;
$$;

comment on function billing_private.finish_resumption_as is 'Gives a planned resumption its status, in the audit trail too.';

create function billing_private.lock_resumption(p_id bigint)
returns billing.dunning_resumptions
language plpgsql
set search_path = ''
as $$
declare
  taken billing.dunning_resumptions;
begin
  select * into taken from billing.dunning_resumptions as r where r.id = p_id;
  if not found then
    perform billing_private.raise_error('DU054', format('there is no resumption %s', coalesce(p_id::text, 'null')));
  end if;
  perform billing_private.lock_customers(array[taken.customer]);
  select * into taken from billing.dunning_resumptions as r where r.id = p_id;
  return taken;
end;
$$;

comment on function billing_private.lock_resumption is 'A resumption, with its customer''s turn taken. Raises DU054.';

create function billing.review_resumption(p_id bigint, p_checked text[] default '{}', p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  known constant billing.dunning_resumptions := billing_private.lock_resumption(p_id);
  shown billing.subscriptions;
  unread jsonb;
begin
  if known.status <> 'planned' then
    return jsonb_build_object('go', false, 'reason', known.status);
  end if;
  select jsonb_agg(distinct jsonb_build_object('object', o.object, 'id', o.id))
  into unread
  from (
    select 'subscription' as object, known.subscription as id
    union all
    select 'invoice', known.invoice
    union all
    select 'invoice', i.id from billing.invoices as i where i.subscription = known.subscription and i.status = 'open'
  ) as o
  where o.id <> all (coalesce(p_checked, '{}'));
  if unread is not null then
    return jsonb_build_object('read', unread);
  end if;

  select * into shown from billing.subscriptions as s where s.id = known.subscription;
  if shown.status in ('canceled', 'incomplete_expired') then
    return billing_private.finish_resumption_as(known, 'not_needed', 'the subscription has ended', p_now);
  elsif shown.status <> 'paused' and shown.pause_collection is null then
    return billing_private.finish_resumption_as(known, 'not_needed', 'it had been resumed already', p_now);
  elsif not billing_private.is_paused_for_nonpayment(shown.id) then
    return billing_private.finish_resumption_as(known, 'called_off', 'it is paused for another reason', p_now);
  elsif billing_private.has_overdue_debt(shown.id, p_now)
    or not exists (select from billing.invoices as i where i.id = known.invoice and i.status = 'paid')
  then
    return billing_private.finish_resumption_as(known, 'called_off', 'something is owed still', p_now);
  end if;
  update billing.dunning_resumptions as r
  set latest_invoice = shown.latest_invoice
  where r.id = known.id and r.latest_invoice is null;
  return jsonb_build_object(
    'go', true, 'subscription', shown.id,
    'calls', array_remove(
      array[
        -- Only what dunning put there: the mark is the case's.
        case
          when shown.pause_collection is not null
            and exists (
              select
              from billing.dunning_cases as c
              where c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case' and c.subscription = shown.id and c.resumed_at is null
            )
          then 'clear_pause_collection'
        end,
        case when shown.status = 'paused' then 'resume_subscription' end
      ],
      null
    )
  );
end;
$$;

comment on function billing.review_resumption is
  'Whether a subscription is still to be resumed, asked right before it is. Returns {read: [{object, id}, …]} while something it depends on is not among p_checked; {go: true, subscription, calls}; or {go: false, reason}. Raises DU054.';

create function billing.finish_resumption(p_id bigint, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see review_resumption.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  known constant billing.dunning_resumptions := billing_private.lock_resumption(p_id);
  shown billing.subscriptions;
  made text;
  marked billing.dunning_cases;
begin
  if known.status <> 'planned' then
    return known.status;
  end if;
  select * into shown from billing.subscriptions as s where s.id = known.subscription;
  made := case when shown.latest_invoice is distinct from known.latest_invoice then shown.latest_invoice end;
  if made is null and billing_private.is_paused_for_nonpayment(shown.id) then
    return 'not_resumed';
  end if;
  perform billing_private.finish_resumption_as(
    known, 'done', case when shown.status = 'paused' then 'it goes on once its new invoice is paid: ' || made end, p_now
  );
  if made is not null then
    perform billing_private.enqueue(
      'alert', 'alert:resumed_with_invoice:' || known.id,
      jsonb_build_object(
        'cause', 'resumed_with_invoice', 'customer', known.customer, 'subscription', known.subscription, 'invoice', made
      ),
      p_now, least(p_now, clock_timestamp())
    );
  end if;
  select c.*
  into marked
  from billing.dunning_cases as c
  where c.subscription = shown.id and c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case' and c.status = 'closed';
  if marked.id is not null and shown.status <> 'paused' and shown.pause_collection is null then
    perform billing_private.record_end_of_pause(marked, p_now);
  end if;
  return 'done';
end;
$$;

comment on function billing.finish_resumption is
  'Records that a subscription was resumed and Stripe''s answer applied: the case knows, a mail is due where Stripe''s own event brings none, and an invoice that resuming made is alerted. Returns done; not_resumed, Stripe does not show it yet; or the status it had come to. Raises DU054.';

create function billing_private.tg_outbox__after_resumption()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  failed billing.dunning_resumptions;
begin
  update billing.dunning_resumptions as r
  set
    status = case when billing_private.was_refused(new) then 'refused' when new.status = 'dead' then 'failed' else 'called_off' end,
    finished_at = new.finished_at, note = new.last_error ->> 'message'
  where r.id = (new.payload ->> 'resume')::bigint and r.status = 'planned'
  returning * into failed;
  if failed.status = 'refused' then
    perform billing_private.enqueue(
      'alert', 'alert:resumption_refused:' || failed.id,
      jsonb_build_object(
        'cause', 'resumption_refused', 'customer', failed.customer, 'subscription', failed.subscription, 'invoice', failed.invoice,
        'outbox_id', new.id, 'error', failed.note
      ),
      new.finished_at
    );
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_resumption is
  'Trigger function: a resumption whose effect is dead, or canceled, is so in dunning_resumptions too. One that Stripe refused is alerted by itself, as nothing tries it again.';

create trigger outbox_ends_resumptions
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead') and old.status <> new.status and new.kind = 'dunning' and new.payload ? 'resume')
  execute function billing_private.tg_outbox__after_resumption();

create function billing_private.tg_outbox__after_resumption_replayed()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_resumptions as r
  set status = 'planned', finished_at = null, note = null
  where r.id = (new.payload ->> 'resume')::bigint
    and r.status in ('failed', 'refused')
    -- Planned anew meanwhile, it needs no second one.
    and not exists (select from billing.dunning_resumptions as o where o.subscription = r.subscription and o.status = 'planned');
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_resumption_replayed is
  'Trigger function: a resumption whose dead effect a person replays is planned again.';

create trigger outbox_replays_resumptions
  after update of status on billing.outbox
  for each row
  when (new.status = 'pending' and old.status = 'dead' and new.kind = 'dunning' and new.payload ? 'resume')
  execute function billing_private.tg_outbox__after_resumption_replayed();

grant execute on function
  billing.review_resumption(bigint, text[], timestamptz),
  billing.finish_resumption(bigint, timestamptz)
to service_role;
