-- Resuming: a subscription that was paused for non-payment is resumed once it is paid: at Stripe, in access, and with a mail.
-- Whether one is due follows from what is known, whatever the order: it is checked with each event and read that
-- may make it due, and in each daily run, which finds what no event showed and what failed before.
-- Reads: subscriptions, invoices, dunning cases. Writes: dunning_resumptions, outbox.
-- Called by: projection, refreshes, dunning steps, the daily run, dunning by hand; emails about subscriptions.

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
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select exists (
      select from billing.invoices as i where i.subscription = p_subscription and i.status = 'paid' and i.paid_at >= p_since
    )
  );
end;
$$;

comment on function billing_private.is_paid_since is 'Whether an invoice of a subscription was paid at p_since or later.';

create function billing_private.has_resumption_email(p_subscription text, p_resumed_at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
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
    )
  );
end;
$$;

comment on function billing_private.has_resumption_email is
  'Whether another mail tells that a subscription, resumed at p_resumed_at, goes on: about the payment, or about the end of dunning''s own pause.';

create function billing_private.has_overdue_debt(p_subscription text, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select exists (
      select
      from billing_private.overdue_invoices as v
      left join billing.dunning_case_invoices as k on k.invoice = v.invoice
      left join billing.dunning_cases as c on c.id = k.case_id
      where v.subscription = p_subscription
        and v.overdue_since <= p_now
        -- A debt that an operator closed is not collected any more.
        and coalesce(c.outcome, 'ended') in ('ended', 'uncollectible')
    )
  );
end;
$$;

comment on function billing_private.has_overdue_debt is
  'Whether something of a subscription is overdue that is, or will be, dunned, or that its case left open when it ended.';

create function billing_private.has_resumption(p_subscription text, p_invoice text, p_paid_at timestamptz, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
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
    )
  );
end;
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
      -- What was paid before the project went live is not for it to resume, unless it was dunning that paused it.
      (
        i.paid_at >= billing_private.paused_at(paused.status_details)
        and i.paid_at >= coalesce((select s.live_since from billing.settings as s), '-infinity')
      )
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
  if paid is null or billing_private.mode_here() <> 'live' then
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
  -- The mode was changed at the same time.
  update billing.dunning_resumptions as r
  set status = 'called_off', finished_at = p_now, note = 'withheld: ' || o.withheld_reason
  from billing.outbox as o
  where r.id = planned.id and o.dedupe_key = 'resume:' || planned.id and o.status = 'withheld';
end;
$$;

comment on function billing_private.plan_resumption is
  'Plans that a subscription goes on, if it was paused for non-payment, was paid since, and nothing is owed any more. One at a time, and once a payment unless it came to nothing; safe to call at any event. In mirror mode nothing is planned.';

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
