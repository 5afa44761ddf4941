-- has_feature and entitlements_version answer the caller about the caller.
begin;
select plan(12);

insert into auth.users (id, email) values
  ('00000000-0000-4000-8000-00000000000a', 'owner@example.com'), ('00000000-0000-4000-8000-00000000000b', 'other@example.com');
insert into billing.customers (id, owner_id) values ('cus_a', '00000000-0000-4000-8000-00000000000a');
insert into billing_private.entitlement_summaries (customer_id, features, is_whole) values ('cus_a', '{export}', true);
select billing_private.refresh_entitlements('cus_a', '2026-11-01');

-- Runs a query as the Data API does for a caller; the assertions themselves stay with the test's own role.
create function pg_temp.asked_by(p_role text, p_owner text, p_query text) returns setof text language plpgsql as $$
begin
  perform set_config('request.jwt.claims', json_strip_nulls(json_build_object('sub', p_owner, 'role', p_role))::text, true);
  perform set_config('role', p_role, true);
  return query execute p_query;
  perform set_config('role', 'none', true);
end;
$$;
create function pg_temp.owner(p_query text) returns text language sql as $$
  select pg_temp.asked_by('authenticated', '00000000-0000-4000-8000-00000000000a', p_query);
$$;
create function pg_temp.other(p_query text) returns text language sql as $$
  select pg_temp.asked_by('authenticated', '00000000-0000-4000-8000-00000000000b', p_query);
$$;
create function pg_temp.service(p_query text) returns text language sql as $$ select pg_temp.asked_by('service_role', null, p_query); $$;

select is(pg_temp.owner($$ select billing.has_feature('export')::text $$), 'true', 'an owner has the feature');
select is(pg_temp.owner($$ select billing.has_feature('sso')::text $$), 'false', 'and no other');
select is(pg_temp.owner($$ select billing.has_feature(null)::text $$), 'false', 'nor one without a name');
select is(pg_temp.other($$ select billing.has_feature('export')::text $$), 'false', 'somebody else has it not');
select is(pg_temp.service($$ select billing.has_feature('export')::text $$), 'false', 'a server is no user');
select is(
  pg_temp.service($$ select billing.owner_has_feature('00000000-0000-4000-8000-00000000000a', 'export')::text $$), 'true', 'but may ask about one'
);
select is(pg_temp.owner('select billing.entitlements_version()::text'), '1', 'an owner sees how often it changed');
select is(pg_temp.other('select billing.entitlements_version()::text'), '0', 'for others it never did');

create function pg_temp.refused(p_role text, p_query text) returns text language plpgsql as $$
declare
  code text;
begin
  perform pg_temp.asked_by(p_role, '00000000-0000-4000-8000-00000000000b', p_query);
  return 'answered';
exception when insufficient_privilege then
  perform set_config('role', 'none', true);
  return 'refused';
end;
$$;
select is(pg_temp.refused('anon', $$ select billing.has_feature('export')::text $$), 'refused', 'anon is not answered');
select is(pg_temp.refused('anon', 'select billing.entitlements_version()::text'), 'refused', 'whatever anon asks');
select is(
  pg_temp.refused('authenticated', $$ select billing.owner_has_feature('00000000-0000-4000-8000-00000000000a', 'export')::text $$), 'refused',
  'nobody asks about somebody else'
);
select is(
  pg_temp.refused('authenticated', $$ select billing_private.refresh_entitlements('cus_a', now())::text $$), 'refused',
  'and nobody has them computed'
);

select * from finish();
rollback;
