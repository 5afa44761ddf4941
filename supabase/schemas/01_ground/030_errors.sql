-- Errors of ours: one SQLSTATE for each way of being wrong. Mirrored by functions/_duebase/errors.ts.

create table billing_private.error_codes (
  sqlstate text primary key,
  name text not null unique,
  hint text not null,
  constraint sqlstate_is_ours check (sqlstate ~ '^DU[0-9]{3}$')
);

comment on table billing_private.error_codes is
  'Every SQLSTATE Duebase raises, its name, and what to do about it (sent as the error''s hint).';

insert into billing_private.error_codes (sqlstate, name, hint) values
  ('DU001', 'invalid_event', 'Pass a Stripe event as Stripe sent it: an object with id, type, created and data.object.'),
  ('DU002', 'unknown_event', 'Look the id up in billing.webhook_events; an event that was never received cannot be replayed.'),
  ('DU003', 'event_is_quarantined', 'Correct livemode or stripe_account in billing.settings, then replay the event.'),
  ('DU004', 'append_only', 'This table is a record. Add a row that corrects the earlier one.'),
  ('DU005', 'unknown_handler', 'Create the function first: schema.name(billing.stripe_events) returning void.'),
  ('DU006', 'unknown_effect', 'Look the id up in billing.outbox; what was delivered long ago has been removed.'),
  ('DU007', 'invalid_claim', 'Name the worker, claim 1 to 500 rows, and take a lease of 5 seconds to 1 hour.'),
  ('DU008', 'invalid_object', 'Pass an object as Stripe''s API answered it, with id and object, of a kind that billing_private.refresh_handlers lists.'),
  ('DU009', 'invalid_report', 'Pass an event of Resend''s webhooks: an object with type, created_at and data.email_id.'),
  ('DU010', 'usage_limit_reached', 'Nothing was counted. DETAIL says as JSON what is left; it is more after an upgrade or in the next period.'),
  ('DU011', 'no_usage_period', 'The owner has no subscription in force whose price or product has metadata limit_<metric>.'),
  ('DU012', 'invalid_usage', 'Pass an owner, a metric, a quantity from 1 to 1000000000000 and an idempotency key of up to 255 characters.'),
  ('DU013', 'usage_key_reused', 'A key stands for one recording. Use the same arguments to repeat it, or another key to record more.'),
  ('DU015', 'insufficient_credits', 'Nothing was deducted. DETAIL says as JSON how many credits there are.'),
  ('DU016', 'credit_key_reused', 'A key stands for one change of a balance. Use the same arguments to repeat it, or another key for another change.'),
  ('DU017', 'invalid_credits', 'Pass an owner, a kind of up to 64 letters, digits and _ . : -, 1 to 1000000000000 credits and an idempotency key of up to 255 characters.'),
  ('DU018', 'no_owner_to_credit', 'Credits are granted to an owner that is there: a user of auth.users, or with settings.owners_function any that was not deleted.'),
  ('DU019', 'invalid_links', 'Pass a JSON array of up to 500 objects, each with customer (cus_…) and owner_id (a uuid, or null to take a word back); more of them in further calls.'),
  ('DU020', 'invalid_owner', 'Pass the uuid of the owner that was deleted.'),
  ('DU025', 'unknown_user', 'Pass the id of a row of auth.users, or of one that was deleted and had a customer.'),
  ('DU031', 'thin_event', 'In Stripe, give the webhook endpoint the payload style Snapshot. A thin event does not carry the object that it is about.'),
  ('DU032', 'invalid_batch', 'Pass a JSON array of 1 to 100 Stripe events; more of them in further calls.'),
  ('DU033', 'payload_is_gone', 'Its payload was dropped by age. Read the object from Stripe instead; an operator may enqueue a refresh.'),
  ('DU034', 'payloads_are_too_young', 'Drop what is older than 35 days: Stripe may still send events that are compared with younger ones.'),
  ('DU040', 'invalid_dunning_policy', 'Days ascend, a notice comes first, severity never falls, and an end comes last, after a final warning.'),
  ('DU041', 'invalid_dunning_assignment', 'Name customer, price or product, its Stripe id, and a policy that billing.dunning_policies has.'),
  ('DU042', 'unknown_dunning_case', 'Look the id up in billing.dunning_cases.'),
  ('DU043', 'dunning_case_is_closed', 'A closed case stays as it is; billing.open_dunning opens another about what is still overdue.'),
  ('DU044', 'nothing_is_overdue', 'Only an open invoice whose payment failed, or whose due date has passed, can be dunned.'),
  ('DU045', 'invalid_dunning_hold', 'Give a reason, and a time in the future if the hold is to end by itself.'),
  ('DU054', 'unknown_dunning_resumption', 'Look the id up in billing.dunning_resumptions.'),
  ('DU058', 'read_is_not_ours', 'Check DUEBASE_STRIPE_SECRET_KEY: what it reads must be of the account and mode of billing.settings.'),
  ('DU070', 'invalid_owners_function', 'Name a function with its schema that takes one uuid, returns table (owner_id uuid, can_manage boolean), is stable or immutable and sets its search_path or qualifies every name.'),
  ('DU071', 'owner_must_be_named', 'You belong to several owners. Pass the owner_id of one of them; DETAIL lists them as JSON.'),
  ('DU072', 'owner_is_not_yours', 'Pass an owner_id that billing.my_owners() returns.'),
  ('DU075', 'versions_are_kept', 'Leave the row. Realtime tells everybody who listens the key of a deleted row, and caches would take a version that begins again for one they know.'),
  ('DU080', 'mirror_mode', 'This project mirrors Stripe and does nothing by itself until billing.go_live says so.'),
  ('DU081', 'not_ready_to_go_live', 'Set in billing.settings what DETAIL lists as JSON, then go live.'),
  ('DU082', 'invalid_project_ref', 'Pass the reference of the project, as in https://<ref>.supabase.co; local for a local stack.'),
  ('DU083', 'invalid_debts', 'Pass 1 to 500 ids of invoices (in_…) that billing.old_debts lists; more of them in further calls.'),
  ('DU084', 'restore_not_matched', 'Run npx duebase restored: it matches what left since the backup, and goes live.'),
  ('DU090', 'history_lease_lost', 'Claim the lease again (billing.claim_history) and go on from billing.history_state.'),
  ('DU091', 'invalid_history_page', 'Pass a step of a history run that is running, and at most 100 objects as Stripe''s API answered them.');

create function billing_private.raise_error(p_sqlstate text, p_message text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using
    errcode = p_sqlstate,
    message = p_message,
    hint = (select c.hint from billing_private.error_codes as c where c.sqlstate = p_sqlstate);
end;
$$;

comment on function billing_private.raise_error is
  'Raises one of our errors: SQLSTATE, a message that names the offending value, and the hint of error_codes.';

create function billing_private.raise_error_with(p_sqlstate text, p_message text, p_detail jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using
    errcode = p_sqlstate,
    message = p_message,
    detail = p_detail,
    hint = (select c.hint from billing_private.error_codes as c where c.sqlstate = p_sqlstate);
end;
$$;

comment on function billing_private.raise_error_with is
  'raise_error, and in DETAIL, as JSON, the numbers that a program decides by.';

create function billing_private.tg_append_only()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- The purge says first what it removes (record_purge), and may then do so until its transaction ends.
  if tg_op = 'DELETE' and tg_relid <> 'billing.purges'::regclass then
    if exists (
      select
      from billing.purges as p
      where p.transaction_id = pg_current_xact_id_if_assigned() and p.relation = format('%I.%I', tg_table_schema, tg_table_name)
    ) then
      return null;
    end if;
  end if;
  perform billing_private.raise_error(
    'DU004',
    format('%s on %I.%I refused: its rows are never changed or removed', tg_op, tg_table_schema, tg_table_name)
  );
  return null;
end;
$$;

comment on function billing_private.tg_append_only is 'Trigger function: refuses the statement it is attached to (DU004), but for the deletions of a purge.';

alter table billing_private.error_codes enable row level security;
create policy nobody_reads on billing_private.error_codes using (false);
