-- Bought credits: what is due follows from the payment, the checkout and the customer's owner, whichever became known
-- first, and the ledger is matched to it. A refund takes back its share, as far as the balance allows.
-- Metadata say what is bought: credit_kind and credits, on the checkout session, else on the payment.
-- Reads: customers, whether an owner is there. Writes: credit_purchases, credit_entries, audit_events. Called by: match_credits.

create table billing_private.credit_purchases (
  id text primary key,
  session text,
  customer text,
  guest uuid,
  is_waiting boolean not null default false,
  holder uuid,
  kind text,
  credited bigint not null default 0,
  asked_back bigint not null default 0,
  taken_back bigint not null default 0,
  standing bigint not null default 0,
  constraint what_stands_is_not_negative check (standing >= 0),
  constraint no_more_is_taken_than_asked check (taken_back between 0 and asked_back)
);

comment on table billing_private.credit_purchases is
  'What is known of each one-time payment that may buy credits, and how far the ledger has followed it.';
comment on column billing_private.credit_purchases.id is 'Payment; the checkout session where nothing had to be paid.';
comment on column billing_private.credit_purchases.session is 'Checkout session (billing.checkout_sessions.id) it was bought in, if any.';
comment on column billing_private.credit_purchases.guest is 'Whom the session names as its owner, as far as settings trust it, where there is no customer.';
comment on column billing_private.credit_purchases.customer is 'Customer of the session, else of the payment.';
comment on column billing_private.credit_purchases.is_waiting is 'Somebody without a customer checked out whose owner is not there yet.';
comment on column billing_private.credit_purchases.holder is 'Owner who was given the credits; null before that, and while nobody is the customer.';
comment on column billing_private.credit_purchases.credited is 'Credits that the ledger gave for it.';
comment on column billing_private.credit_purchases.asked_back is 'Credits that refunds have asked back; taken_back is what there was to take.';
comment on column billing_private.credit_purchases.taken_back is 'Of those asked back, what could be taken.';
comment on column billing_private.credit_purchases.standing is 'Credits of it that the holder, or nobody yet, still has or has spent.';

create index credit_purchases_by_customer on billing_private.credit_purchases (customer);
create index credit_purchases_by_holder on billing_private.credit_purchases (holder);
create index credit_purchases_by_session on billing_private.credit_purchases (session);
create index credit_purchases_waiting on billing_private.credit_purchases (guest) where is_waiting;
alter table billing_private.credit_purchases enable row level security;
create policy nobody_reads on billing_private.credit_purchases using (false);

create function billing_private.bought_credits(p_metadata jsonb, out kind text, out credits bigint)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if btrim(p_metadata ->> 'credit_kind') ~ '^[A-Za-z0-9_.:-]{1,64}$'
    and btrim(p_metadata ->> 'credits') ~ '^0*[1-9][0-9]{0,11}$'
  then
    kind := btrim(p_metadata ->> 'credit_kind');
    credits := (p_metadata ->> 'credits')::bigint;
  end if;
end;
$$;

comment on function billing_private.bought_credits is
  'What metadata say is bought: credit_kind, a name, and credits, a whole number from 1. Null where either is missing or cannot be read.';

create function billing_private.owner_of_session(p_session billing.checkout_sessions)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  session constant jsonb := to_jsonb(p_session);
  source constant text := billing_private.hint_source_of_session(session);
begin
  return case
    when billing_private.is_trusted_source(source) then billing_private.as_uuid(billing_private.hinted_owner_of(session, source))
  end;
end;
$$;

comment on function billing_private.owner_of_session is
  'The owner that a checkout session names: by its metadata, else by a client_reference_id that settings trust.';

create function billing_private.owner_of_purchase(p_purchase billing_private.credit_purchases)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_purchase.customer is not null then
    return (select c.owner_id from billing.customers as c where c.id = p_purchase.customer);
  end if;
  return case when billing_private.owner_exists(p_purchase.guest) then p_purchase.guest end;
end;
$$;

comment on function billing_private.owner_of_purchase is 'Whose a purchase is: the customer''s owner; for a guest, the owner whom the checkout session names.';

create function billing_private.move_credits(
  p_purchase billing_private.credit_purchases, p_reason text, p_credits bigint, p_now timestamptz
)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  entry billing.credit_entries;
  within_reach constant bigint := greatest(p_credits, -billing_private.balance_of(p_purchase.holder, p_purchase.kind));
begin
  if p_credits = 0 then
    return 0;
  end if;
  entry.owner_id := p_purchase.holder;
  entry.kind := p_purchase.kind;
  entry.credits := within_reach;
  entry.reason := p_reason;
  entry.missing := within_reach - p_credits;
  entry.purchase := p_purchase.id;
  entry.created_at := p_now;
  perform billing_private.write_credit_entry(entry);
  if entry.missing > 0 then
    perform billing_private.audit(
      'credits.not_taken_back', 'system', p_purchase.id, p_purchase.customer,
      jsonb_build_object(
        'owner_id', p_purchase.holder, 'kind', p_purchase.kind, 'reason', p_reason,
        'asked', -p_credits, 'taken', -within_reach, 'missing', entry.missing
      ),
      p_now
    );
  end if;
  return within_reach;
end;
$$;

comment on function billing_private.move_credits is
  'Writes an entry for a purchase''s holder. What should be taken and is not there is stated in the entry and as an audit fact. Returns the change that was possible.';

create function billing_private.transfer_credits(
  p_purchase billing_private.credit_purchases, p_owner uuid, p_kind text, p_now timestamptz
)
returns billing_private.credit_purchases
language plpgsql
set search_path = ''
as $$
begin
  if (p_purchase.holder, p_purchase.kind) is not distinct from (p_owner, p_kind) then
    return p_purchase;
  end if;
  if p_purchase.holder is not null then
    p_purchase.standing := -billing_private.move_credits(p_purchase, 'transfer', -p_purchase.standing, p_now);
  end if;
  p_purchase.holder := p_owner;
  p_purchase.kind := p_kind;
  if p_owner is not null then
    perform billing_private.move_credits(p_purchase, 'transfer', p_purchase.standing, p_now);
  end if;
  return p_purchase;
end;
$$;

comment on function billing_private.transfer_credits is
  'Takes what is left of a purchase from whoever had it to its owner now; to nobody, until there is one. What was spent is spent.';

create function billing_private.change_standing(
  p_purchase billing_private.credit_purchases, p_reason text, p_credits bigint, p_now timestamptz
)
returns billing_private.credit_purchases
language plpgsql
set search_path = ''
as $$
declare
  change constant bigint := billing_private.move_credits(p_purchase, p_reason, greatest(p_credits, -p_purchase.standing), p_now);
begin
  p_purchase.standing := p_purchase.standing + change;
  if p_reason = 'refund' then
    p_purchase.taken_back := p_purchase.taken_back - change;
  end if;
  return p_purchase;
end;
$$;

comment on function billing_private.change_standing is 'Gives or takes credits of a purchase; never takes more than stands of it.';

create function billing_private.match_standing_to_payment(
  p_purchase billing_private.credit_purchases, p_due bigint, p_asked_back bigint, p_now timestamptz
)
returns billing_private.credit_purchases
language plpgsql
set search_path = ''
as $$
declare
  more_asked_back constant bigint := greatest(p_asked_back - p_purchase.asked_back, 0);
  due_change constant bigint := p_due - p_purchase.credited;
begin
  p_purchase.credited := p_due;
  p_purchase.asked_back := greatest(p_asked_back, p_purchase.asked_back);
  -- Less asked back than was taken: a refund failed. What is given comes first, so that it is there to be taken.
  p_purchase := billing_private.change_standing(p_purchase, 'refund', greatest(p_purchase.taken_back - p_asked_back, 0), p_now);
  p_purchase := billing_private.change_standing(p_purchase, 'purchase', due_change, p_now);
  p_purchase := billing_private.change_standing(p_purchase, 'refund', -more_asked_back, p_now);
  p_purchase.asked_back := p_asked_back;
  return p_purchase;
end;
$$;

comment on function billing_private.match_standing_to_payment is
  'Gives what is paid for and takes back what refunds ask back, as far as the purchase stands and the balance goes.';
