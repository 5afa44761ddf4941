-- Old debts: what was overdue before this project went live. Nobody is dunned about it unless a person releases it, all or
-- one by one; released, it begins with a notice.
-- Reads: overdue invoices, customers. Writes: known_debts, dunning cases, outbox, audit_events. Called by: operators.

create function billing.old_debts(p_now timestamptz default now())
returns table (
  invoice text, customer text, email text, subscription text, amount_remaining bigint, currency text, overdue_since timestamptz
)
language plpgsql
stable
-- Definer: it reads private views; service_role may read all it shows.
security definer
set search_path = ''
as $$
begin
  return query
  select v.invoice, v.customer, c.email, v.billed_subscription, v.amount_remaining, v.currency, v.overdue_since
  from billing_private.overdue_invoices as v
  left join billing.customers as c on c.id = v.customer
  where v.overdue_since <= p_now
    and billing_private.is_old_debt(v.invoice, v.overdue_since)
    and not exists (select from billing.dunning_case_invoices as k where k.invoice = v.invoice)
  order by v.overdue_since, v.invoice;
end;
$$;

comment on function billing.old_debts is
  'Invoices that were overdue before settings.adopted_at, when this project took over the billing: nobody is dunned about them unless a person releases them (billing.release_debts). Amounts in minor units of currency, times in UTC.';

create function billing.release_debts(p_invoices text[], p_now timestamptz default now())
returns table (invoice text, outcome text)
language plpgsql
-- Definer: see open_dunning.
security definer
set search_path = ''
as $$
declare
  debtors text[];
  debtor text;
  old_debts text[];
begin
  perform billing_private.require_live_mode(p_is_for_functions => false);
  if coalesce(cardinality(p_invoices), 0) not between 1 and 500 then
    perform billing_private.raise_error('DU083', format('cannot release %s debts', coalesce(cardinality(p_invoices), 0)));
  end if;
  debtors := array(select distinct i.customer from billing.invoices as i where i.id = any (p_invoices) and i.customer is not null);
  perform billing_private.lock_customers(debtors);
  old_debts := array(select d.invoice from billing.old_debts(p_now) as d where d.invoice = any (p_invoices));
  insert into billing_private.known_debts as d (invoice, known_at, released_at)
  select o.id, p_now, p_now
  from unnest(old_debts) as o (id)
  on conflict on constraint known_debts_pkey do update set released_at = excluded.released_at;
  foreach debtor in array debtors loop
    if billing_private.open_dunning_cases(debtor, p_now) then
      perform billing_private.enqueue_dunning_evaluation(debtor, 'debts_released:' || extract(epoch from p_now)::text, p_now);
    end if;
  end loop;
  perform billing_private.audit_operator_action('dunning.debt_released', o.id, i.customer, '{}', p_now)
  from unnest(old_debts) as o (id)
  join billing.invoices as i on i.id = o.id;
  return query
    select
      w.id,
      case
        when w.id <> all (old_debts) then 'no_old_debt'
        when exists (select from billing.dunning_case_invoices as k where k.invoice = w.id) then 'released'
        else 'below_minimum'
      end
    from (select distinct w.id from unnest(p_invoices) as w (id)) as w
    order by w.id;
end;
$$;

comment on function billing.release_debts is
  'Has up to 500 old debts (ids that billing.old_debts lists) dunned after all; days count from now on, and the first mail is the notice. Says for each: released; below_minimum, released, and too little by its policy to be dunned; no_old_debt, nothing was changed. Raises DU083, and DU080 in mirror mode.';

grant execute on function billing.old_debts(timestamptz), billing.release_debts(text[], timestamptz) to service_role;
