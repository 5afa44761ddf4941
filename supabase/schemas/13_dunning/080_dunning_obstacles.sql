-- Obstacles: what keeps a case from its next step at a given time.
-- Reads: dunning tables, customers, subscriptions, payments, emails, outbox, suppressed_addresses, settings. Writes: nothing.
-- Called by: steps, ends, charges to new cards, preview, my_billing_status.

create function billing_private.is_address_undeliverable(p_case_id bigint, p_customer text, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return not exists (
    select
    from billing.customers as c
    where c.id = p_customer
      and btrim(c.email) <> ''
      and not exists (select from billing.suppressed_addresses as a where a.address = lower(btrim(c.email)))
      -- Not one that Resend refused this week.
      and not exists (
        select
        from billing.dunning_actions as d
        join billing.emails as e on e.outbox_id = d.outbox_id
        join billing.outbox as x on x.id = d.outbox_id
        where d.case_id = p_case_id
          and d.status = 'failed'
          and d.finished_at > p_now - interval '168 hours'
          and (x.last_error ->> 'status' in ('400', '422') or x.last_error ->> 'code' = 'validation_error')
          and lower(e.to_address) = lower(btrim(c.email))
      )
      -- Not one to which three mails in a row could not be delivered; an operator has to find another.
      and not (
        select count(*) = 3 and bool_and(l.came_back)
        from (
          select d.status = 'undeliverable' and lower(e.to_address) = lower(btrim(c.email)) as came_back
          from billing.dunning_actions as d
          join billing.emails as e on e.outbox_id = d.outbox_id
          where d.case_id = p_case_id
          order by d.id desc
          limit 3
        ) as l
      )
  );
end;
$$;

comment on function billing_private.is_address_undeliverable is
  'Whether the mails of a case cannot reach its customer at p_now: there is no address, it is suppressed, Resend refused it this week, or the last three mails came back.';

create function billing_private.dunning_obstacles(p_fact billing_private.dunning_fact, p_now timestamptz)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select array_remove(
      array[
        case when billing_private.has_open_dispute(p_fact.customer) then 'dispute' end,
        case
          when exists (
            select
            from billing.subscriptions as s
            where s.id = p_fact.subscription
              and s.pause_collection is not null
              and coalesce(to_timestamp((s.pause_collection ->> 'resumes_at')::double precision) > p_now, true)
          )
          then 'paused_collection'
        end,
        case when bool_or(h.case_id = p_fact.case_id) then 'manual' end,
        case when bool_or(h.case_id is null) then 'excluded_customer' end,
        case
          when billing_private.is_address_undeliverable(p_fact.case_id, p_fact.customer, p_now)
          then 'undeliverable_address'
        end,
        case
          when exists (
            select from billing.payments as y where y.invoice_id = any (p_fact.invoices) and y.status = 'processing'
          )
          then 'payment_processing'
        end,
        case
          -- No mail and no end for a customer whose new card has not been charged yet.
          when exists (select from billing.dunning_charges as g where g.case_id = p_fact.case_id and g.status = 'planned')
          then 'charging_new_card'
        end,
        case
          when p_fact.amount < (
            select (p.minimum_amounts ->> p_fact.currency)::bigint from billing.dunning_policies as p where p.id = p_fact.policy_id
          )
          then 'below_minimum'
        end,
        case
          when p_fact.kinds[p_fact.due] = 'final_warning'
            and p_fact.ends_at is not null
            and 'payment-failed-final' = any ((select x.emails_off from billing.settings as x)::text[])
          then 'warning_switched_off'
        end
      ],
      null
    )
    from billing.dunning_holds as h
    where h.customer = p_fact.customer
      and h.released_at is null
      and (h.held_until is null or h.held_until > p_now)
  );
end;
$$;

comment on function billing_private.dunning_obstacles is
  'What keeps a case from its next step at p_now: dispute, paused_collection, manual, excluded_customer, undeliverable_address, payment_processing, charging_new_card, below_minimum, warning_switched_off (no end without a warning). Empty: nothing does.';
