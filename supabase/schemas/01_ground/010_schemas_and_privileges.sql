-- Schemas and privileges: who may touch what, before there is anything to touch.
-- `billing` is exposed through the Data API; `billing_private` never is.
-- anon may do nothing. authenticated reads its own rows. service_role reads all of `billing`, and calls the functions that
-- are granted to it. Nobody writes to a table: the functions do, as their owner. Grants and policies stand beside what
-- they open. service_role bypasses row security; its policies are there for people who look for who reads a table, and
-- the policy nobody_reads tells a table that is closed from one whose policy was forgotten.
-- Reads and writes: nothing. Called by: nobody.

create schema billing;
comment on schema billing is
  'Duebase: Stripe billing state, the events it came from and the work it still owes. Written by projection only.';

create schema billing_private;
comment on schema billing_private is
  'Duebase internals: trigger functions, readers of Stripe''s shapes, event order. Not exposed through the Data API.';

grant usage on schema billing to authenticated, service_role;
