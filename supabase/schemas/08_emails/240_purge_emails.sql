-- Purging emails: the text goes, the row that says what was sent to whom stays.
-- Reads: settings, outbox. Writes: emails, resend_events. Called by: the tick, every day.

create function billing_private.purge_email_bodies(p_now timestamptz, p_limit integer default 2000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_email_bodies_days from billing.settings as s));
  emptied integer;
begin
  update billing.emails as e
  set html = '', text = '', attachment = null
  where e.id = any (array(
    select o.id
    from billing.emails as o
    where o.text <> ''
      and o.created_at < before
      -- An effect that is dead may be replayed, and then sends what is kept.
      and not exists (select from billing.outbox as x where x.id = o.outbox_id)
    order by o.created_at
    limit p_limit
  ));
  get diagnostics emptied = row_count;
  return emptied;
end;
$$;

comment on function billing_private.purge_email_bodies is
  'Empties emails that were written more than settings.keep_email_bodies_days ago and whose effect is gone, at most p_limit. Run by the tick every day. Returns how many.';

create function billing_private.purge_email_reports(p_now timestamptz, p_limit integer default 10000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_email_bodies_days from billing.settings as s));
  removed integer;
begin
  delete from billing.resend_events as r
  where r.id = any (array(select o.id from billing.resend_events as o where o.received_at < before limit p_limit));
  get diagnostics removed = row_count;
  return removed;
end;
$$;

comment on function billing_private.purge_email_reports is
  'Removes Resend''s reports that came more than settings.keep_email_bodies_days ago, at most p_limit; what they said of a mail stays in billing.emails. Run by the tick every day. Returns how many.';
