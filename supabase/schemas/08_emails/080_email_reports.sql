-- Reports: what Resend says became of a mail, through its signed webhooks.
-- Writes: resend_events, emails, suppressed_addresses, outbox, audit_events. Called by: duebase-resend-webhook.

create table billing.resend_events (
  id text primary key,
  type text not null,
  resend_id text not null,
  email_id bigint references billing.emails (id),
  created_at timestamptz not null,
  received_at timestamptz not null
);

comment on table billing.resend_events is
  'One row per event of Resend''s webhooks about a mail. The primary key is what makes a repeated delivery change nothing.';
comment on column billing.resend_events.id is 'The event''s id, from the svix-id header.';
comment on column billing.resend_events.resend_id is 'Resend''s id of the mail.';
comment on column billing.resend_events.email_id is 'Our mail (billing.emails.id); null where it is none of ours, such as one of another project on the same account.';
comment on column billing.resend_events.created_at is 'When it happened, by Resend''s clock (UTC).';

create index resend_events_by_email on billing.resend_events (email_id);
create index resend_events_by_arrival on billing.resend_events using brin (received_at);

alter table billing.resend_events enable row level security;
create policy service_role_reads on billing.resend_events for select to service_role using (true);
grant select on billing.resend_events to service_role;

create function billing_private.email_status_rank(p_status text)
returns integer
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array_position(array['pending', 'sent', 'delayed', 'delivered', 'failed', 'bounced', 'complained'], p_status);
end;
$$;

comment on function billing_private.email_status_rank is 'Order of the states of a mail: reports come in any order, and a later state is never taken back.';

create function billing_private.status_of_report(p_type text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case p_type
    when 'email.sent' then 'sent'
    when 'email.delivery_delayed' then 'delayed'
    when 'email.delivered' then 'delivered'
    when 'email.failed' then 'failed'
    when 'email.suppressed' then 'failed'
    when 'email.bounced' then 'bounced'
    when 'email.complained' then 'complained'
  end;
end;
$$;

comment on function billing_private.status_of_report is 'The state a mail is in after Resend''s event of a type; null for events that tell of none (opened, clicked).';

create function billing_private.reported_email(p_report jsonb)
returns billing.emails
language plpgsql
stable
set search_path = ''
as $$
declare
  reported billing.emails;
begin
  select e.*
  into reported
  from billing.emails as e
  where e.resend_id = p_report #>> '{data,email_id}'
    -- The answer that would have told its id was lost: the tag names it.
    or e.tag = billing_private.as_uuid(p_report #>> '{data,tags,duebase_email}')
  order by e.resend_id = p_report #>> '{data,email_id}' desc nulls last
  limit 1;
  return reported;
end;
$$;

comment on function billing_private.reported_email is 'The mail a report is about, by Resend''s id, else by the tag it was sent with.';

create function billing_private.suppress_address(p_email billing.emails, p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.suppressed_addresses (address, reason, since, email_id)
  values (lower(p_email.to_address), p_reason, p_now, p_email.id)
  on conflict (address) do nothing;
  if not found then
    return;
  end if;
  perform billing_private.audit(
    'email.address_suppressed', 'system', p_email.dedupe_key, p_email.customer_id,
    jsonb_build_object('reason', p_reason, 'template', p_email.template), p_now
  );
  perform billing_private.alert(
    'email_' || p_reason,
    jsonb_build_object('customer', p_email.customer_id, 'template', p_email.template, 'email_id', p_email.id),
    p_now
  );
end;
$$;

comment on function billing_private.suppress_address is
  'Stops all mail to the address of a mail that bounced for good or was complained about, with an audit event and an alert. The first reason stays.';

create function billing_private.finish_reported_email(p_email billing.emails, p_report jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  reported constant text := billing_private.status_of_report(p_report ->> 'type');
begin
  update billing.emails as e
  set
    resend_id = coalesce(e.resend_id, p_report #>> '{data,email_id}'),
    sent_at = coalesce(e.sent_at, (p_report ->> 'created_at')::timestamptz),
    unknown_since = null,
    -- Of a mail whose person is forgotten, nothing that may name the address.
    problem = case
      when e.to_address not like 'sha256:%' then coalesce(
        p_report #>> '{data,bounce,message}', p_report #>> '{data,failed,reason}', p_report #>> '{data,suppressed,message}', e.problem
      )
    end,
    status = reported,
    status_at = (p_report ->> 'created_at')::timestamptz
  where e.id = p_email.id
    and billing_private.email_status_rank(reported) > billing_private.email_status_rank(e.status);

  -- It was sent: a row that waits for another try, is dead with an unknown outcome, or was withheld after an attempt, is done. A worker that holds it learns that it lost its claim.
  update billing.outbox as o
  set status = 'delivered', withheld_reason = null, finished_at = p_now, last_error = null
  where o.id = p_email.outbox_id and o.status in ('pending', 'dead', 'withheld');
end;
$$;

comment on function billing_private.finish_reported_email is 'Brings a mail to the state a report tells of, never back, and its effect to an end.';

create function billing.receive_email_report(p_id text, p_report jsonb, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  email billing.emails;
  report_type constant text := p_report ->> 'type';
begin
  if coalesce(btrim(p_id), '') = '' or report_type is null or p_report #>> '{data,email_id}' is null
    or coalesce(p_report ->> 'created_at', '') !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d'
  then
    perform billing_private.raise_error('DU009', format('not a report of Resend''s about a mail: %s', left(coalesce(p_report::text, 'null'), 80)));
  end if;

  email := billing_private.reported_email(p_report);
  -- Both rows, in the order in which deliver takes them, before anything is written: the row of the report, too, holds
  -- the email against whoever would change it, and its trigger takes what dunning keeps of it, as the outbox's does.
  select * into email from billing.emails as e where e.id = email.id for update;
  perform billing_private.lock_effects(array[email.outbox_id]);
  insert into billing.resend_events (id, type, resend_id, email_id, created_at, received_at)
  values (p_id, report_type, p_report #>> '{data,email_id}', email.id, (p_report ->> 'created_at')::timestamptz, p_now)
  on conflict (id) do nothing;
  if not found then
    return 'duplicate';
  elsif email.id is null then
    return 'unknown';
  elsif billing_private.status_of_report(report_type) is null then
    return 'ignored';
  end if;

  perform billing_private.finish_reported_email(email, p_report, p_now);
  if report_type = 'email.complained' then
    perform billing_private.suppress_address(email, 'complained', p_now);
  elsif report_type = 'email.suppressed' then
    perform billing_private.suppress_address(email, 'suppressed', p_now);
  elsif report_type = 'email.bounced' and p_report #>> '{data,bounce,type}' = 'Permanent' then
    perform billing_private.suppress_address(email, 'bounced', p_now);
  end if;
  return 'processed';
end;
$$;

comment on function billing.receive_email_report is
  'Takes one event of Resend''s webhooks, under the id of its delivery. Returns processed; duplicate; ignored, it tells of no state; unknown, the mail is none of ours. Hard bounces and complaints suppress the address and alert. Raises DU009.';

grant execute on function billing.receive_email_report(text, jsonb, timestamptz) to service_role;
