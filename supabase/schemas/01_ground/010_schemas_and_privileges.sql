-- Schemas and privileges: who may touch what, before there is anything to touch.
-- `billing` is exposed through the Data API; `billing_private` never is.

create schema billing;
comment on schema billing is
  'Duebase: Stripe billing state, the events it came from and the work it still owes. Written by projection only.';

create schema billing_private;
comment on schema billing_private is
  'Duebase internals: trigger functions, readers of Stripe''s shapes, event order. Not exposed through the Data API.';

grant usage on schema billing to authenticated, service_role;
