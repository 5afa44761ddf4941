-- Schemas and privileges: who may touch what, before there is anything to touch.
-- `billing` is exposed through the Data API; `billing_private` never is.

create schema billing;
comment on schema billing is
  'Duebase: Stripe billing state, the events it came from and the work it still owes. Written by projection only.';

create schema billing_private;
comment on schema billing_private is
  'Duebase internals: trigger functions, readers of Stripe''s shapes, event order. Not exposed through the Data API.';

-- PostgreSQL lets PUBLIC execute every new function, which would make each function of an exposed schema an
-- endpoint for anybody. That default is stored per creating role and cannot be narrowed to a schema, so it is
-- taken away for all functions this role creates from here on; whatever may be called is granted by name
-- (see the grants migration). Supabase's own grants on functions in `public` stay as they are.
alter default privileges revoke execute on functions from public;

grant usage on schema billing to authenticated, service_role;
