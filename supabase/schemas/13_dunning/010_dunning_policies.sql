-- Dunning policies: what is done about an overdue payment, and when. Data, not code: a ladder of steps and how it ends.
-- A policy is never changed but superseded by a new version, so that a case keeps the ladder it was opened with.
-- Read by: dunning cases. Written by: people, through define_dunning_policy and assign_dunning_policy.

create table billing.dunning_policies (
  id bigint generated always as identity primary key,
  name text not null,
  version integer not null,
  description text,
  end_action text not null,
  void_open_invoices boolean not null default false,
  keeps_access boolean not null default true,
  minimum_amounts jsonb not null default '{}',
  created_at timestamptz not null,
  superseded_at timestamptz,
  constraint a_version_is_written_once unique (name, version),
  constraint name_is_a_slug check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  constraint versions_count_from_one check (version > 0),
  constraint end_action_is_known check (end_action in ('cancel', 'pause', 'mark_uncollectible', 'leave')),
  constraint only_a_cancellation_voids check (not void_open_invoices or end_action = 'cancel'),
  constraint minimum_amounts_are_per_currency check (jsonb_typeof(minimum_amounts) = 'object')
);

comment on table billing.dunning_policies is
  'What is done about overdue payments: one row per version of a policy. The policy named default is for whoever has no other. Make a new version with billing.define_dunning_policy; rows are not edited.';
comment on column billing.dunning_policies.name is 'Name of the policy; its versions share it.';
comment on column billing.dunning_policies.version is 'Counted from 1. A case keeps the version it was opened with.';
comment on column billing.dunning_policies.end_action is
  'What the last step does: cancel the subscription; pause its collection (and its access); mark_uncollectible its overdue invoices; leave everything as it is and close the case.';
comment on column billing.dunning_policies.void_open_invoices is 'Whether cancel also voids the overdue invoices; otherwise they stay payable.';
comment on column billing.dunning_policies.keeps_access is 'Grace: entitlements stay while the case is open. False: they go as soon as it opens.';
comment on column billing.dunning_policies.minimum_amounts is
  'Least overdue amount worth a case, minor units by currency, such as {"usd": 500}; a currency that is not named has none.';
comment on column billing.dunning_policies.superseded_at is 'When a newer version replaced it (UTC); null: in force for new cases.';

create unique index dunning_policies_in_force on billing.dunning_policies (name) where superseded_at is null;

create table billing.dunning_steps (
  policy_id bigint not null references billing.dunning_policies (id),
  position smallint not null,
  day integer not null,
  kind text not null,
  primary key (policy_id, position),
  constraint positions_count_from_one check (position > 0),
  constraint day_is_not_negative check (day >= 0),
  constraint kind_is_known check (kind in ('notice', 'urgent_reminder', 'final_warning', 'end'))
);

comment on table billing.dunning_steps is 'The ladder of a policy: what happens how many days after payment was due. Written with its policy.';
comment on column billing.dunning_steps.policy_id is 'The version of a policy it belongs to.';
comment on column billing.dunning_steps.position is 'Order of the steps, from 1. Days ascend with it.';
comment on column billing.dunning_steps.day is 'Days (of 24 hours) after the payment first failed, or the due date of an invoice that is sent.';
comment on column billing.dunning_steps.kind is
  'notice, urgent_reminder, final_warning: the email payment-failed-… of that name. end: the policy''s end_action, at the earliest three days after the final warning was sent.';

create table billing.dunning_assignments (
  scope text not null,
  subject_id text not null,
  policy text not null,
  assigned_at timestamptz not null,
  primary key (scope, subject_id),
  constraint scope_is_known check (scope in ('customer', 'price', 'product'))
);

comment on table billing.dunning_assignments is
  'Which policy is for whom: a customer''s goes before that of a subscription''s price, a price''s before its product''s; whoever has none gets default. Written by billing.assign_dunning_policy.';
comment on column billing.dunning_assignments.scope is 'Whether it is for a customer, a price or a product.';
comment on column billing.dunning_assignments.subject_id is 'Stripe id of the customer (cus_…), price (price_…) or product (prod_…).';
comment on column billing.dunning_assignments.policy is 'Name of the policy; the version in force when a case opens is the case''s.';
comment on column billing.dunning_assignments.assigned_at is 'When it was last assigned (UTC).';

create trigger dunning_steps_are_never_changed
  before update or delete or truncate on billing.dunning_steps
  for each statement execute function billing_private.tg_append_only();
create trigger dunning_policies_are_never_removed
  before delete or truncate on billing.dunning_policies
  for each statement execute function billing_private.tg_append_only();

alter table billing.dunning_policies enable row level security;
alter table billing.dunning_steps enable row level security;
alter table billing.dunning_assignments enable row level security;
create policy service_role_reads on billing.dunning_policies for select to service_role using (true);
create policy service_role_reads on billing.dunning_steps for select to service_role using (true);
create policy service_role_reads on billing.dunning_assignments for select to service_role using (true);
grant select on billing.dunning_policies, billing.dunning_steps, billing.dunning_assignments to service_role;

create function billing_private.ladder_fault(p_steps jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  step record;
  last_day integer := -1;
  kinds text[] := array[]::text[];
begin
  if jsonb_typeof(p_steps) is distinct from 'array' or jsonb_array_length(p_steps) = 0 then
    return 'there are no steps';
  end if;
  for step in select s.value ->> 'kind' as kind, s.value ->> 'day' as day from jsonb_array_elements(p_steps) as s loop
    if coalesce(step.kind, '') not in ('notice', 'urgent_reminder', 'final_warning', 'end') then
      return format('there is no step %s', coalesce(step.kind, 'null'));
    elsif coalesce(step.day, '') !~ '^[0-9]{1,4}$' then
      return format('day of step %s is no number of days: %s', step.kind, coalesce(step.day, 'null'));
    elsif step.day::integer <= last_day then
      return format('step %s on day %s does not come after day %s', step.kind, step.day, last_day);
    elsif step.kind = any (kinds) then
      return format('step %s comes twice', step.kind);
    elsif 'end' = any (kinds) then
      return format('step %s comes after the end', step.kind);
    elsif array_position(array['notice', 'urgent_reminder', 'final_warning', 'end'], step.kind)
      < array_position(array['notice', 'urgent_reminder', 'final_warning', 'end'], kinds[cardinality(kinds)])
    then
      return format('step %s comes after %s', step.kind, kinds[cardinality(kinds)]);
    end if;
    last_day := step.day::integer;
    kinds := kinds || step.kind;
  end loop;
  if kinds[1] <> 'notice' then
    return 'the first step is not a notice';
  elsif 'end' = any (kinds) and kinds[cardinality(kinds) - 1] <> 'final_warning' then
    return 'the end does not come after a final warning';
  end if;
  return null;
end;
$$;

comment on function billing_private.ladder_fault is
  'What is wrong with the steps of a policy, [{day, kind}, …], or null: days ascend, a notice comes first, severity never falls, and an end comes last and only after a final warning.';

create function billing.define_dunning_policy(
  p_name text,
  p_steps jsonb,
  p_end_action text default 'cancel',
  p_void_open_invoices boolean default false,
  p_keeps_access boolean default true,
  p_minimum_amounts jsonb default '{}',
  p_description text default null,
  p_now timestamptz default now()
)
returns bigint
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
declare
  fault text := billing_private.ladder_fault(p_steps);
  next_version integer;
  policy bigint;
begin
  if coalesce(p_name, '') !~ '^[a-z0-9][a-z0-9_-]{0,62}$' then
    fault := 'a name has lower-case letters, digits, - and _ only';
  elsif coalesce(p_end_action, '') not in ('cancel', 'pause', 'mark_uncollectible', 'leave') then
    fault := format('there is no end action %s', coalesce(p_end_action, 'null'));
  elsif p_void_open_invoices and p_end_action <> 'cancel' then
    fault := format('only cancel can void open invoices, not %s', p_end_action);
  elsif jsonb_typeof(p_minimum_amounts) is distinct from 'object'
    or exists (
      select from jsonb_each_text(p_minimum_amounts) as m where m.key !~ '^[a-z]{3}$' or m.value !~ '^[0-9]{1,15}$'
    )
  then
    fault := format('minimum amounts are not minor units by currency: %s', p_minimum_amounts);
  end if;
  if fault is not null then
    perform billing_private.raise_error('DU040', format('policy %s: %s', coalesce(p_name, 'null'), fault));
  end if;

  -- Of two new versions at once the second waits, and then counts the first one's.
  perform pg_advisory_xact_lock(hashtextextended(p_name, 7310));
  update billing.dunning_policies as p set superseded_at = p_now where p.name = p_name and p.superseded_at is null;
  select coalesce(max(p.version), 0) + 1 into next_version from billing.dunning_policies as p where p.name = p_name;
  insert into billing.dunning_policies
    (name, version, description, end_action, void_open_invoices, keeps_access, minimum_amounts, created_at)
  values (p_name, next_version, p_description, p_end_action, p_void_open_invoices, p_keeps_access, p_minimum_amounts, p_now)
  returning id into policy;
  insert into billing.dunning_steps (policy_id, position, day, kind)
  select policy, s.position, (s.value ->> 'day')::integer, s.value ->> 'kind'
  from jsonb_array_elements(p_steps) with ordinality as s (value, position);
  perform billing_private.audit(
    'dunning.policy_defined', 'operator', p_name, null,
    jsonb_build_object('by', session_user, 'version', next_version, 'end_action', p_end_action, 'steps', p_steps), p_now
  );
  return policy;
end;
$$;

comment on function billing.define_dunning_policy is
  'Writes the next version of a policy, in force for cases opened from now on. p_steps: [{"day": 0, "kind": "notice"}, …, {"day": 10, "kind": "end"}]. Returns its id; raises DU040 for a ladder that makes no sense.';

create function billing.assign_dunning_policy(p_scope text, p_subject_id text, p_policy text, p_now timestamptz default now())
returns void
language plpgsql
-- Definer: see define_dunning_policy.
security definer
set search_path = ''
as $$
declare
  before constant text := (select a.policy from billing.dunning_assignments as a where a.scope = p_scope and a.subject_id = p_subject_id);
begin
  if coalesce(p_scope, '') not in ('customer', 'price', 'product') or coalesce(btrim(p_subject_id), '') = '' then
    perform billing_private.raise_error(
      'DU041', format('no policy can be assigned to %s %s', coalesce(p_scope, 'null'), coalesce(p_subject_id, 'null'))
    );
  elsif p_policy is null then
    delete from billing.dunning_assignments as a where a.scope = p_scope and a.subject_id = p_subject_id;
  elsif not exists (select from billing.dunning_policies as p where p.name = p_policy) then
    perform billing_private.raise_error('DU041', format('there is no policy %s', p_policy));
  else
    insert into billing.dunning_assignments (scope, subject_id, policy, assigned_at)
    values (p_scope, p_subject_id, p_policy, p_now)
    on conflict (scope, subject_id) do update set policy = excluded.policy, assigned_at = excluded.assigned_at;
  end if;
  perform billing_private.audit(
    'dunning.policy_assigned', 'operator', p_subject_id, case p_scope when 'customer' then p_subject_id end,
    jsonb_build_object('by', session_user, 'scope', p_scope, 'before', before, 'policy', p_policy), p_now
  );
end;
$$;

comment on function billing.assign_dunning_policy is
  'Gives a customer, price or product a policy by name; null takes it away. Cases that are open keep theirs. Raises DU041.';

select billing.define_dunning_policy(
  'default',
  '[
    {"day": 0, "kind": "notice"}, {"day": 3, "kind": "urgent_reminder"}, {"day": 7, "kind": "final_warning"},
    {"day": 10, "kind": "end"}
  ]',
  p_description => 'For whoever has no other: mails on days 0, 3 and 7, canceled on day 10.'
);

grant execute on function
  billing.define_dunning_policy(text, jsonb, text, boolean, boolean, jsonb, text, timestamptz),
  billing.assign_dunning_policy(text, text, text, timestamptz)
to service_role;
