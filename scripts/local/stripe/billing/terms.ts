import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Customer, Subscription, SubscriptionSchedule } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, missingParam } from "../http/errors.ts";
import type { FormHash } from "../http/form.ts";
import { mergedMetadata, Params } from "../http/params.ts";
import { periodBoundary } from "./periods.ts";
import { createSubscription } from "./subscriptions.ts";

/** When the one phase ends: on a date, or after a duration. */
function endOf(phase: Params, now: number): number {
  const date = phase.integer("end_date");
  if (date != null) return date;
  const duration = phase.child("duration");
  const interval = duration?.choice("interval", ["day", "week", "month", "year"]);
  if (!duration || !interval) throw missingParam(phase.nameOf("end_date"));
  return periodBoundary(now, { interval, interval_count: duration.integer("interval_count") ?? 1 }, 1);
}

function itemsFrom(phase: Params): FormHash[] {
  return (phase.children("items") ?? []).map((item) => ({
    price: item.required("price"),
    quantity: String(item.integer("quantity") ?? 1),
  }));
}

/**
 * `POST /v1/subscription_schedules` of one phase that begins now. With `end_behavior=cancel` the subscription is for a
 * fixed term: it has `cancel_at` from its start.
 */
export function createSchedule(world: World, customer: Customer, params: Params): SubscriptionSchedule {
  const now = timeOf(world, customer);
  const [phase, ...more] = params.children("phases") ?? [];
  if (!phase) throw missingParam("phases");
  if (more.length > 0 || (params.time("start_date") ?? "now") !== "now") {
    throw invalidRequest("The local Stripe plays schedules of one phase that begin now.", {
      param: "phases",
    });
  }
  const end = endOf(phase, now);
  const behaviour = params.choice("end_behavior", ["cancel", "release"]) ?? "release";
  const items = itemsFrom(phase);
  const id = newId("sub_sched");
  const subscription = createSubscription(
    world,
    customer,
    new Params({
      items,
      metadata: phase.hash("metadata") ?? {},
      ...(behaviour === "cancel" ? { cancel_at: String(end) } : {}),
      ...(params.has("billing_mode") ? { billing_mode: params.kept("billing_mode") } : {}),
    }),
    id,
  );
  const schedule = world.store.insert<"subscription_schedule">({
    id,
    object: "subscription_schedule",
    application: null,
    billing_mode: subscription.billing_mode,
    canceled_at: null,
    completed_at: null,
    created: now,
    current_phase: { start_date: now, end_date: end },
    customer: customer.id,
    customer_account: null,
    default_settings: {
      application_fee_percent: null,
      billing_cycle_anchor: "automatic",
      billing_thresholds: null,
      collection_method: "charge_automatically",
      default_payment_method: null,
      description: null,
      invoice_settings: {
        account_tax_ids: null,
        custom_fields: null,
        days_until_due: null,
        description: null,
        footer: null,
        issuer: { type: "self" },
      },
      on_behalf_of: null,
      transfer_data: null,
    },
    end_behavior: behaviour,
    livemode: false,
    metadata: mergedMetadata({}, params.hash("metadata")),
    pause_schedules: [],
    phases: [phaseOf(subscription, now, end)],
    released_at: null,
    released_subscription: null,
    status: "active",
    subscription: subscription.id,
    test_clock: subscription.test_clock,
  });
  if (behaviour === "release") world.jobs.set("schedule.release", id, schedule.test_clock, end);
  emit(world, "subscription_schedule.created", schedule);
  return schedule;
}

function phaseOf(
  subscription: Subscription,
  start: number,
  end: number,
): SubscriptionSchedule["phases"][number] {
  return {
    add_invoice_items: [],
    application_fee_percent: null,
    billing_cycle_anchor: null,
    billing_thresholds: null,
    collection_method: null,
    currency: subscription.currency,
    default_payment_method: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    end_date: end,
    invoice_settings: null,
    items: subscription.items.data.map((item) => ({
      billing_thresholds: null,
      discounts: [],
      metadata: {},
      plan: item.price.id,
      price: item.price.id,
      quantity: item.quantity ?? 1,
      tax_rates: [],
    })),
    metadata: { ...subscription.metadata },
    on_behalf_of: null,
    proration_behavior: "create_prorations",
    start_date: start,
    transfer_data: null,
    trial_end: null,
  };
}

/** The subscription goes on without its schedule, and without the end that this gave it. */
export function releaseSchedule(world: World, schedule: SubscriptionSchedule): SubscriptionSchedule {
  if (schedule.status !== "active") {
    throw invalidRequest(`You cannot release a schedule with a status of ${schedule.status}.`);
  }
  const subscription = world.store.get("subscription", schedule.subscription ?? "");
  schedule.status = "released";
  schedule.released_at = timeOf(world, schedule);
  schedule.released_subscription = schedule.subscription;
  schedule.subscription = null;
  schedule.current_phase = null;
  world.jobs.set("schedule.release", schedule.id, schedule.test_clock, null);
  if (subscription) {
    change(world, "customer.subscription.updated", subscription, (it) => {
      it.schedule = null;
      it.cancel_at = null;
      it.canceled_at = null;
      if (it.cancellation_details) it.cancellation_details.reason = null;
    });
    world.jobs.set("subscription.cancel_at", subscription.id, subscription.test_clock, null);
  }
  emit(world, "subscription_schedule.released", schedule);
  return schedule;
}
