-- Rules that a reader of the tables relies on without looking each one up.
begin;
select plan(9);

create view pg_temp.our_columns as
  select
    c.oid as table_id,
    c.oid::regclass::text || '.' || a.attname as name,
    a.attname,
    a.attnum,
    format_type(a.atttypid, null) as type,
    a.attidentity,
    pg_get_expr(d.adbin, d.adrelid) as default_value
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace) and c.relkind in ('r', 'p');

select is_empty(
  $$ select name from pg_temp.our_columns where type like 'timestamp%' and type <> 'timestamp with time zone' $$,
  'every moment is a timestamptz'
);
select is_empty(
  $$ select name from pg_temp.our_columns where default_value ~* 'now\(\)|current_timestamp|clock_timestamp' $$,
  'no column fills itself with the time: the clock is an argument'
);
select is_empty(
  $$
    select name
    from pg_temp.our_columns
    where (attname like 'amount%' or attname in ('unit_amount', 'subtotal', 'total', 'tax', 'discount', 'balance')) and type <> 'bigint'
  $$,
  'money is bigint, in minor units'
);
select is_empty(
  $$
    select distinct c.table_id::regclass
    from pg_temp.our_columns as c
    where (c.attname like 'amount%' or c.attname in ('unit_amount', 'total', 'balance'))
      and not exists (select from pg_temp.our_columns as k where k.table_id = c.table_id and k.attname = 'currency')
  $$,
  'money stands beside its currency'
);
select is_empty(
  $$ select name from pg_temp.our_columns where type in ('json', 'real', 'double precision', 'money', 'character varying', 'character') $$,
  'json is jsonb, text is text, and no number is a float'
);
select is_empty(
  $$ select name from pg_temp.our_columns where default_value like 'nextval%' or attidentity = 'd' $$,
  'numbered rows are numbered by the database, always'
);
select is_empty(
  $$
    select c.oid::regclass
    from pg_class as c
    where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and c.relkind in ('r', 'p')
      and not exists (select from pg_constraint as k where k.conrelid = c.oid and k.contype = 'p')
  $$,
  'every table has a primary key'
);
select is_empty(
  $$
    select conrelid::regclass, confrelid::regclass
    from pg_constraint
    where contype = 'f'
      and connamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and confrelid::regclass::text = any (array[
        'billing.customers', 'billing.subscriptions', 'billing.subscription_items', 'billing.invoices', 'billing.invoice_payments',
        'billing.payments', 'billing.refunds', 'billing.disputes', 'billing.payment_methods', 'billing.checkout_sessions',
        'billing.products', 'billing.prices'
      ])
  $$,
  'no foreign key binds a mirrored Stripe object: parents arrive after children'
);
select is_empty(
  $$
    select format('%s on %s', conname, conrelid::regclass)
    from pg_constraint
    where contype = 'c'
      and connamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and conname ~ '_check[0-9]*$'
  $$,
  'every check is named as the claim it makes'
);

select * from finish();
rollback;
