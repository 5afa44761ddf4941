-- Seats: how many people each owner has, as the application counts them, and what Stripe has of it.
-- A count is written by the application's transaction and by nobody else's; the row of an owner is made of the counts
-- afterwards. So an application's transaction waits for nothing of ours, and nothing of ours waits for it.
-- Written by: sync_seats (counts), the tick and duebase-deliver (seats). Read by: members; limit_seats.

create table billing.seats (
  owner_id uuid primary key,
  quantity bigint not null,
  counted_at timestamptz not null,
  count_id bigint not null,
  status text not null,
  status_since timestamptz not null,
  subscription text,
  item text,
  stripe_quantity bigint,
  tried_quantity bigint,
  tried_cards text,
  attempt integer not null default 0,
  outbox_id bigint,
  constraint quantity_is_not_negative check (quantity >= 0),
  constraint status_is_known check (status in (
    'same', 'enqueued', 'no_item', 'several_items', 'waiting', 'declined', 'expired', 'refused'
  )),
  constraint an_item_is_of_a_subscription check ((item is null) = (subscription is null))
);

comment on table billing.seats is
  'One row per owner whose seats the application counts (billing.sync_seats), and how far Stripe follows. The quantity of the subscription item whose price has metadata seats = true follows within two minutes.';
comment on column billing.seats.owner_id is 'Whose seats. Gone with the owner, see remove_owner.';
comment on column billing.seats.quantity is 'Seats in use, as the application counted last. Stripe is given at least 1.';
comment on column billing.seats.counted_at is 'When it was counted (UTC).';
comment on column billing.seats.count_id is 'The newest count it is made of. A count that was called before it changes nothing any more.';
comment on column billing.seats.status is
  'same: Stripe has it. enqueued: Stripe is about to be told. no_item: no running subscription has an item whose price has metadata seats = true. several_items: more than one has, so none is changed. waiting: the subscription is paused or unpaid. declined: the payment for more seats failed, and the change waits at Stripe for another card. expired: it waited in vain; the next card, or another quantity, tries again. refused: Stripe refused the change (billing.outbox says why); another quantity tries again.';
comment on column billing.seats.status_since is 'Since when (UTC).';
comment on column billing.seats.subscription is 'Subscription (billing.subscriptions.id) whose item follows; null: none does.';
comment on column billing.seats.item is 'That item (billing.subscription_items.id).';
comment on column billing.seats.stripe_quantity is 'Its quantity at Stripe, as known last.';
comment on column billing.seats.tried_quantity is 'The quantity that Stripe was asked for last.';
comment on column billing.seats.tried_cards is 'The cards that were the defaults then: another one tries again.';
comment on column billing.seats.attempt is 'How many changes were enqueued; part of their dedupe keys.';
comment on column billing.seats.outbox_id is 'The change that was enqueued last (billing.outbox.id). No foreign key: finished effects are removed by age.';

-- Finds what a dead effect was about, and what hangs at Stripe.
create index seats_by_effect on billing.seats (outbox_id) where outbox_id is not null;

alter table billing.seats enable row level security;
create policy members_read on billing.seats
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(false))::uuid[]));
grant select on billing.seats to authenticated, service_role;

create table billing_private.seat_counts (
  id bigint generated always as identity primary key,
  owner_id uuid not null,
  quantity bigint,
  counted_at timestamptz not null,
  tried_at timestamptz
);

comment on column billing_private.seat_counts.id is
  'Of two counts of one owner the greater is the newer. It is never changed.';
comment on table billing_private.seat_counts is
  'What is still to be made of billing.seats: a count of the application''s, or news of an owner''s subscription, price or card. Rows are only added, each by itself, so that nobody waits for anybody; the tick takes them away.';
comment on column billing_private.seat_counts.owner_id is 'Whose seats.';
comment on column billing_private.seat_counts.quantity is 'Seats in use; null: nothing was counted, only look again.';
comment on column billing_private.seat_counts.counted_at is 'When it was counted, or told (UTC).';
comment on column billing_private.seat_counts.tried_at is
  'When the tick last failed at it (UTC); null: it has not tried. What was never tried comes first, then what waited longest.';

create index seat_counts_by_owner on billing_private.seat_counts (owner_id, id);
create index seat_counts_by_turn on billing_private.seat_counts (tried_at nulls first, id);

alter table billing_private.seat_counts enable row level security;
create policy nobody_reads on billing_private.seat_counts using (false);
