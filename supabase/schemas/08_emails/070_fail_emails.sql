-- Failing: a request to Resend that failed. A batch is taken apart where Resend will not have it as a whole.
-- Reads and writes: emails, outbox. Called by: duebase-deliver.

create function billing_private.split_batch(p_batch_id uuid)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- If an attempt before this one may have sent it, only its key keeps it from being sent twice.
  if p_batch_id is null
    or exists (
      select
      from billing.emails as e
      where e.batch_id = p_batch_id and (e.status <> 'pending' or e.unknown_since is distinct from e.attempted_at)
    )
  then
    return false;
  end if;
  update billing.emails as e
  set batch_id = null, batch_position = null, unknown_since = null
  where e.batch_id = p_batch_id;
  return true;
end;
$$;

comment on function billing_private.split_batch is
  'Lets the mails of a batch that Resend refuses as a whole go one by one, each for its own verdict. False: something of it may have been sent.';

create function billing_private.fail_email(
  p_id bigint, p_claim_id uuid, p_error jsonb, p_is_refusal boolean, p_retry_after interval, p_is_final boolean, p_now timestamptz
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  email_status text;
  outcome text;
begin
  -- Resend's report may be quicker than its answer, or come where none did: then the mail has left. A report that
  -- comes in this moment waits for the row, and finds the effect as it is left below.
  select e.status into email_status from billing.emails as e where e.outbox_id = p_id for update;
  if email_status <> 'pending' then
    return case when billing.complete_outbox(p_id, p_claim_id, p_now) then 'delivered' else 'lost' end;
  end if;
  outcome := billing.fail_outbox(
    p_id, p_claim_id, p_error, p_retry_after, p_is_final, p_now,
    -- No answer, a limit, or a key that a person has to put right says nothing against the mail. Of what may have been
    -- sent nothing is tried for longer than Resend keeps its key, see prepare_email.
    coalesce(p_error ->> 'status' in ('401', '403', '429', '503'), not p_is_refusal)
  );
  -- A refusal says that this attempt sent nothing; what an earlier one did stays unknown.
  if outcome <> 'lost' and p_is_refusal then
    update billing.emails as e
    set unknown_since = null
    where e.outbox_id = p_id and e.unknown_since = e.attempted_at;
  end if;
  return outcome;
end;
$$;

comment on function billing_private.fail_email is
  'fail_outbox for one email; delivered where a report has listed meanwhile that it left.';

create function billing.fail_emails(
  p_ids bigint[],
  p_claim_id uuid,
  p_error jsonb,
  p_is_refusal boolean,
  p_retry_after interval default null,
  p_is_final boolean default false,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  failed_id bigint;
  ending text;
  endings jsonb := jsonb_build_object();
  batch uuid;
  goes_again boolean := false;
begin
  select e.batch_id into batch from billing.emails as e where e.outbox_id = any (p_ids) and e.batch_id is not null limit 1;
  perform
  from billing.emails as e
  where e.outbox_id = any (p_ids) or e.batch_id = batch
  order by e.id
  for update;
  perform billing_private.lock_effects(p_ids || array(select e.outbox_id from billing.emails as e where e.batch_id = batch));
  if p_is_refusal and p_is_final
    and exists (select from billing.outbox as o where o.id = any (p_ids) and o.claim_id = p_claim_id)
  then
    goes_again := billing_private.split_batch(batch) or billing_private.drop_attachment(p_ids, p_error, p_now);
  end if;

  foreach failed_id in array p_ids loop
    ending := billing_private.fail_email(
      failed_id, p_claim_id, p_error, p_is_refusal,
      case when goes_again then interval '0' else p_retry_after end, p_is_final and not goes_again, p_now
    );
    endings := endings || jsonb_build_object(ending, coalesce((endings ->> ending)::integer, 0) + 1);
  end loop;

  -- The batch waits as one, or each of its mails would have the whole of it sent again.
  update billing.outbox as o
  set run_after = (select max(f.run_after) from billing.outbox as f where f.id = any (p_ids))
  where o.status = 'pending'
    and endings ? 'pending'
    and o.id in (select e.outbox_id from billing.emails as e where e.batch_id = batch);
  return endings;
end;
$$;

comment on function billing.fail_emails is
  'Records that a request to Resend failed, for the mails of it that the worker holds. p_is_refusal: Resend said that it took nothing; otherwise nobody knows. A batch that Resend will not have as a whole (p_is_final) is taken apart, and a mail goes again without its attachment. Returns how many came to which end, as fail_outbox names them; delivered: a report has listed meanwhile that it left.';

grant execute on function billing.fail_emails(bigint[], uuid, jsonb, boolean, interval, boolean, timestamptz) to service_role;
