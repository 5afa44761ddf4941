-- Comments are the documentation Studio shows and the reference is generated from.
begin;
select plan(6);

select isnt_empty(
  $$ select from pg_namespace where nspname = 'billing' and obj_description(oid, 'pg_namespace') is not null $$,
  'schema billing says what it is'
);
select isnt_empty(
  $$ select from pg_namespace where nspname = 'billing_private' and obj_description(oid, 'pg_namespace') is not null $$,
  'schema billing_private says what it is'
);
select is_empty(
  $$
    select c.oid::regclass
    from pg_class as c
    where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and c.relkind in ('r', 'p', 'v', 'm')
      and obj_description(c.oid, 'pg_class') is null
  $$,
  'every table and view has a comment'
);
select is_empty(
  $$
    select p.oid::regprocedure
    from pg_proc as p
    where p.pronamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and obj_description(p.oid, 'pg_proc') is null
  $$,
  'every function has a comment'
);

-- Columns whose name and type say it all: Stripe's plain fields, and ours that repeat a column explained elsewhere.
create temporary table plain_columns (name text primary key);
insert into plain_columns values
  ('id'), ('type'), ('name'), ('email'), ('description'), ('currency'), ('metadata'), ('livemode'), ('created'), ('active'),
  ('status'), ('customer'), ('payload'), ('created_at'), ('finished_at'), ('enabled'), ('event_id'),
  ('received_at'), ('deleted_at'), ('customer_id'), ('source'), ('hint'), ('sqlstate'), ('object_id'), ('as_of'),
  ('first_failed_at'), ('last_failed_at'), ('resolved_at'),
  -- Stripe's, documented by Stripe
  ('updated'), ('nickname'), ('lookup_key'), ('tax_behavior'), ('delinquent'), ('number'), ('collection_method'),
  ('billing_reason'), ('subtotal'), ('total'), ('amount_remaining'), ('amount_requested'), ('attempted'),
  ('auto_advance'), ('due_date'), ('period_start'), ('period_end'), ('paid_at'), ('voided_at'), ('marked_uncollectible_at'),
  ('default_payment_method'), ('invoice_pdf'), ('current_period_start'), ('current_period_end'), ('trial_start'), ('trial_end'),
  ('canceled_at'), ('cancellation_details'), ('ended_at'), ('start_date'), ('billing_cycle_anchor'),
  ('days_until_due'), ('payment_method'), ('card_brand'), ('card_last4'), ('failure_message'),
  ('receipt_url'), ('is_default'), ('charge'), ('subscription'),
  ('payment_intent'), ('receipt_number'), ('setup_intent'), ('amount_subtotal'), ('amount_total'), ('funds_reinstated_at'), ('amount_reinstated'),
  -- of billing_private.payment_sources: as in billing.payments
  ('payment_id'), ('kind'), ('invoice_id'), ('amount_received'), ('amount_refunded'), ('failure_code'),
  ('payment_method_type'), ('payment_method_name');

select is_empty(
  $$
    select a.attrelid::regclass, a.attname
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and c.relkind in ('r', 'p', 'v', 'm')
      and a.attnum > 0
      and not a.attisdropped
      and col_description(a.attrelid, a.attnum) is null
      and a.attname not in (select name from plain_columns)
  $$,
  'every column has a comment unless its name is on the list of those that need none'
);
select is_empty(
  $$
    select p.name
    from plain_columns as p
    where not exists (
      select
      from pg_attribute as a
      join pg_class as c on c.oid = a.attrelid
      where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
        and a.attname = p.name
        and col_description(a.attrelid, a.attnum) is null
    )
  $$,
  'the list names only columns that are there and have no comment'
);

select * from finish();
rollback;
