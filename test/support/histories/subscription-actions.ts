import type { Price, Subscription, SubscriptionItem } from "../../../scripts/local/stripe/core/wire.ts";
import { planOf } from "../../../scripts/local/stripe/objects/catalogue.ts";
import { subscription, subscriptionItem } from "../stripe/subscriptions.ts";
import type { Account } from "./account.ts";
import { draftInvoice, fail, finalize, makeVoid, pay } from "./invoice-actions.ts";

const MONTH = 30 * 86_400;

function newItem(
  account: Account,
  subscriptionId: string,
  price: string,
  start: number,
  end: number,
): SubscriptionItem {
  return subscriptionItem({
    id: account.id("si"),
    created: account.now,
    subscription: subscriptionId,
    price: account.get<Price>(price),
    quantity: account.random.int(1, 5),
    current_period_start: start,
    current_period_end: end,
  });
}

/** A new subscription: on trial, with a first invoice to be paid, or with an invoice that is sent. */
export function subscribe(account: Account, customer: string, prices: string[]): string {
  const { random, now } = account;
  const id = account.id("sub");
  const start = random.pick(["trialing", "incomplete", "active"] as const);
  const end = now + (start === "trialing" ? 14 * 86_400 : MONTH);
  const items = random
    .shuffled(prices)
    .slice(0, random.int(1, 2))
    .map((price) => newItem(account, id, price, now, end));
  account.create(
    subscription({
      id,
      created: now,
      customer,
      items,
      status: start,
      collection_method: start === "active" ? "send_invoice" : "charge_automatically",
      days_until_due: start === "active" ? 14 : null,
      metadata: random.chance(0.2) ? { owner_id: account.users[0] ?? account.newUser(false) } : {},
      ...(start === "trialing" ? { trial_start: now, trial_end: end } : {}),
    }),
    "customer.subscription.created",
  );
  const first = draftInvoice(account, customer, id);
  if (start !== "active" || random.chance(0.5)) finalize(account, first);
  if (start === "incomplete" && account.get(first).status === "open") {
    if (random.chance(0.6)) pay(account, first);
    else fail(account, first);
  }
  return id;
}

/** What may happen to a subscription next, by its status. Returns an invoice where one was made. */
export function changeSubscription(account: Account, id: string, prices: string[]): string | null {
  const { random } = account;
  const now = account.get<Subscription>(id);
  const turn = (status: string, ...types: string[]) => {
    account.change(id, { status }, "customer.subscription.updated", ...types);
    return null;
  };
  switch (now.status) {
    case "canceled":
      return random.chance(0.3) ? editAfterTheEnd(account, id) : null;
    case "incomplete":
      return random.chance(0.3) ? turn("incomplete_expired") : null;
    case "incomplete_expired":
      return null;
    case "trialing":
      return random.pick([
        () => warn(account, id),
        () => warn(account, id),
        () => renew(account, id),
        () => pauseForDebt(account, id),
        () => pause(account, id, "trial_end_without_payment_method"),
        () => pause(account, id, "trial_end_without_payment_method"),
        () => edit(account, id, prices),
        () => cancel(account, id),
      ])();
    case "paused":
      return random.chance(0.7) ? resume(account, id) : cancel(account, id);
    default:
      return random.pick([
        () => edit(account, id, prices),
        () => edit(account, id, prices),
        () => edit(account, id, prices),
        () => renew(account, id),
        () => cancel(account, id),
        () => pause(account, id, random.pick(["pause_requested", "system"])),
        () => pauseForDebt(account, id),
        () => pauseForDebt(account, id),
        () => turn(now.status === "past_due" ? "active" : "past_due"),
      ])();
  }
}

/** Pauses it for one of Stripe's reasons. Often it is resumed soon. */
function pause(account: Account, id: string, cause: string): null {
  setPaused(account, id, cause);
  if (account.random.chance(0.6)) {
    account.pass();
    resume(account, id);
  }
  return null;
}

/**
 * A renewal is declined and Stripe pauses the subscription, as an account can be set to do. Often the invoice is paid
 * then, and sometimes Stripe resumes by itself.
 * https://docs.stripe.com/billing/revenue-recovery/smart-retries/pause-on-payment-failure
 */
function pauseForDebt(account: Account, id: string): string | null {
  const { random } = account;
  if (account.get<Subscription>(id).collection_method !== "charge_automatically") return null;
  const bill = renew(account, id);
  const isOpen = () => account.get(bill).status === "open";
  finalize(account, bill);
  if (!isOpen()) return bill; // paid from the customer's balance
  fail(account, bill);
  if (random.chance(0.5)) account.pass();
  setPaused(account, id, random.pick(["first_payment_failure", "final_payment_failure"]));
  if (random.chance(0.4)) return bill;
  if (random.chance(0.7)) account.pass();
  if (isOpen()) pay(account, bill);
  if (random.chance(0.3)) {
    account.pass();
    resume(account, id);
  }
  return bill;
}

/** Versions before 2026-09-30.endive do not tell the cause. */
function setPaused(account: Account, id: string, cause: string): void {
  const status_details = {
    paused: { subscription: { type: cause }, transitioned_at: account.now, type: "subscription" },
  };
  account.change(
    id,
    { status: "paused", status_details },
    "customer.subscription.updated",
    "customer.subscription.paused",
  );
}

function resume(account: Account, id: string): null {
  account.change(
    id,
    { status: "active", status_details: null },
    "customer.subscription.updated",
    "customer.subscription.resumed",
  );
  return null;
}

/**
 * A change that waits for its payment (payment_behavior=pending_if_incomplete). Either its invoice is paid and the change
 * applied, or the change expires and Stripe voids the invoice, or neither has happened yet.
 */
function waitForUpdate(account: Account, id: string, end: "applied" | "expired"): void {
  const { random } = account;
  const now = account.get<Subscription>(id);
  const pending_update = {
    billing_cycle_anchor: null,
    expires_at: account.now + 82_800,
    subscription_items: null,
    trial_end: null,
  };
  account.change(id, { pending_update }, "customer.subscription.updated");
  const isBilled = now.status === "active" && now.collection_method === "charge_automatically";
  const bill = isBilled ? draftInvoice(account, now.customer, id, "subscription_update") : undefined;
  const isOpen = () => bill !== undefined && account.get(bill).status === "open";
  if (bill) finalize(account, bill);
  if (bill && isOpen()) fail(account, bill);
  if (random.chance(0.4)) return; // still waits
  account.pass();
  const type = `customer.subscription.pending_update_${end}`;
  const steps = [
    () => account.change(id, { pending_update: null }, "customer.subscription.updated", type),
    () => {
      if (!bill || !isOpen()) return;
      if (end === "applied") pay(account, bill);
      else makeVoid(account, bill);
    },
  ];
  for (const step of random.shuffled(steps)) step();
}

function warn(account: Account, id: string): null {
  account.tell(id, "customer.subscription.trial_will_end");
  return null;
}

/** The next period begins and is billed in the same second. */
function renew(account: Account, id: string): string {
  const now = account.get<Subscription>(id);
  const start = now.items.data[0]?.current_period_end ?? account.now;
  account.now = Math.max(account.now, start);
  const data = now.items.data.map((item) => ({
    ...item,
    current_period_start: start,
    current_period_end: start + MONTH,
  }));
  const patch = { items: { ...now.items, data }, status: now.status === "trialing" ? "active" : now.status };
  account.change(id, patch, "customer.subscription.updated");
  return draftInvoice(account, now.customer, id);
}

function edit(account: Account, id: string, prices: string[]): null {
  const { random } = account;
  const now = account.get<Subscription>(id);
  const set = (patch: object, ...further: string[]) =>
    account.change(id, patch, "customer.subscription.updated", ...further);
  const items = (data: SubscriptionItem[]) => set({ items: { ...now.items, data } });
  const [first, ...others] = now.items.data;
  if (!first) return null;
  const swapped = account.get<Price>(random.pick(prices));
  const edits: (() => void)[] = [
    () => items([{ ...first, price: swapped, plan: planOf(swapped) }, ...others]),
    () => items([{ ...first, quantity: (first.quantity ?? 1) + 1 }, ...others]),
    () =>
      items([
        ...now.items.data,
        newItem(account, id, swapped.id, first.current_period_start, first.current_period_end),
      ]),
    () =>
      items(
        others.length > 0 ? others : now.items.data.map((item) => ({ ...item, metadata: { kept: "1" } })),
      ),
    () =>
      items([
        newItem(account, id, swapped.id, first.current_period_start, first.current_period_end),
        ...others,
      ]),
    () =>
      set({
        pause_collection: now.pause_collection ? null : { behavior: "void", resumes_at: account.now + MONTH },
      }),
    () => set(leaving(account, now, !now.cancel_at_period_end)),
    () => account.flip(id, leaving(account, now, !now.cancel_at_period_end), "customer.subscription.updated"),
    // Under flexible billing the portal sets a date and does not touch cancel_at_period_end. A term is a date far away.
    () => set(byDate(account, now, now.items.data[0]?.current_period_end)),
    () => set(byDate(account, now, account.now + 12 * MONTH)),
    () => set({ metadata: { ...now.metadata, note: random.token(3) } }),
    () => set({ default_payment_method: account.id("pm") }),
    ...(["applied", "applied", "expired", "expired"] as const).map(
      (end) => () => waitForUpdate(account, id, end),
    ),
  ];
  random.pick(edits)();
  return null;
}

function leaving(account: Account, now: Subscription, leaves: boolean) {
  return {
    cancel_at_period_end: leaves,
    cancel_at: leaves ? (now.items.data[0]?.current_period_end ?? null) : null,
    canceled_at: leaves ? account.now : null,
  };
}

/** Sets the date on which it ends, or removes the date where there is one. */
function byDate(account: Account, now: Subscription, at: number | undefined) {
  return now.cancel_at === null
    ? { cancel_at: at ?? null, canceled_at: account.now }
    : { cancel_at: null, canceled_at: null, cancel_at_period_end: false };
}

/** Ends a subscription at once. */
export function cancel(account: Account, id: string): null {
  const now = account.get<Subscription>(id);
  account.remove(
    id,
    "customer.subscription.deleted",
    {
      status: "canceled",
      status_details: null,
      canceled_at: account.now,
      ended_at: account.now,
      cancellation_details: { ...now.cancellation_details, reason: "cancellation_requested" },
    },
    false,
  );
  return null;
}

function editAfterTheEnd(account: Account, id: string): null {
  const { metadata } = account.get<Subscription>(id);
  const closed = { metadata: { ...metadata, closed: account.random.token(3) } };
  if (account.random.chance(0.3)) account.flip(id, closed, "customer.subscription.updated");
  else account.change(id, closed, "customer.subscription.updated");
  return null;
}
