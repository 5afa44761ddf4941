import { del, get, post } from "../../service/route.ts";
import { cancelSubscription } from "../billing/cancellation.ts";
import { finalizeAndCollect } from "../billing/collection.ts";
import { customerOf } from "../billing/customers.ts";
import { draftFor } from "../billing/cycle.ts";
import { pendingItems } from "../billing/drafts.ts";
import { anchorFrom, ownerOf } from "../billing/items.ts";
import { canPause, pauseSubscription } from "../billing/pausing.ts";
import { creditUnused } from "../billing/proration.ts";
import { resumeSubscription } from "../billing/resumption.ts";
import { periodStart } from "../billing/schedule.ts";
import { billingModeFrom, createSubscription, findSubscription } from "../billing/subscriptions.ts";
import { updateSubscription } from "../billing/updates.ts";
import { change, emit } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import type { FormHash } from "../http/form.ts";
import { pageOf, pageOfTable, timeFilter } from "../http/list.ts";
import { Params } from "../http/params.ts";
import { type Call, idOf, type Route } from "../http/route.ts";

const feedbacks = [
  "customer_service",
  "low_quality",
  "missing_features",
  "other",
  "switched_service",
  "too_complex",
  "too_expensive",
  "unused",
] as const;

function cancel(call: Call): Subscription {
  const { world, params } = call;
  const subscription = findSubscription(world, idOf(call));
  // Stripe no longer knows a subscription that is canceled already.
  if (["canceled", "incomplete_expired"].includes(subscription.status)) {
    throw resourceMissing("subscription", subscription.id);
  }
  const details = params.child("cancellation_details");
  const now = timeOf(world, subscription);
  if (params.boolean("prorate") && subscription.status === "active") {
    creditUnused(world, subscription, subscription.items.data, now);
  }
  const invoiceNow = params.boolean("invoice_now") ?? false;
  const owed = pendingItems(world, subscription.customer, subscription.id).length > 0;
  const period = { start: periodStart(subscription), end: now };
  cancelSubscription(world, subscription, {
    comment: details?.text("comment"),
    feedback: details?.choice("feedback", feedbacks),
  });
  if (!invoiceNow || !owed) return subscription;
  // The last invoice comes after the end, and is collected and tried again like any other.
  const last = draftFor(world, subscription, {
    billingReason: "subscription_update",
    finalizesAt: null,
    pendingOnly: true,
    period,
  });
  finalizeAndCollect(world, last);
  return subscription;
}

/** `POST /v1/subscriptions/:id/pause`, since 2026-09-30: for flexible billing only. */
function pause(call: Call): Subscription {
  const { world, params } = call;
  const subscription = findSubscription(world, idOf(call));
  if (!["active", "trialing", "past_due"].includes(subscription.status)) {
    throw invalidRequest(`A subscription with a status of ${subscription.status} cannot be paused.`);
  }
  if (!canPause(subscription)) {
    throw invalidRequest(
      "Only subscriptions with `billing_mode[type]=flexible` and `collection_method=charge_automatically`, and without a schedule, can be paused.",
    );
  }
  params.choice("type", ["subscription"]);
  const now = timeOf(world, subscription);
  const period = { start: periodStart(subscription), end: now };
  const billing = params.child("bill_for");
  billing?.child("outstanding_usage_through")?.choice("type", ["none", "now"]);
  const from =
    billing?.child("unused_time_from")?.choice("type", ["item_current_period_start", "none", "now"]) ?? "now";
  if (from !== "none" && subscription.status === "active") {
    const { data } = subscription.items;
    creditUnused(world, subscription, data, from === "now" ? now : period.start);
  }
  const invoices = params.choice("invoicing_behavior", ["invoice", "pending_invoice_item"]) === "invoice";
  pauseSubscription(world, subscription, "pause_requested");
  if (invoices && pendingItems(world, subscription.customer, subscription.id).length > 0) {
    let invoice: Invoice | undefined;
    change(world, "customer.subscription.updated", subscription, (it) => {
      invoice = draftFor(world, it, {
        billingReason: "subscription_update",
        finalizesAt: null,
        pendingOnly: true,
        period,
      });
    });
    if (invoice) finalizeAndCollect(world, invoice);
  }
  return subscription;
}

function list({ world, params }: Call): object {
  const customer = params.text("customer");
  const price = params.text("price");
  const status = params.text("status");
  const clock = params.text("test_clock");
  const collection = params.text("collection_method");
  const plan = params.text("plan");
  const starts = timeFilter(params, "current_period_start");
  const ends = timeFilter(params, "current_period_end");
  const over = ["canceled", "incomplete_expired"];
  return pageOfTable(
    world,
    "subscription",
    params,
    "/v1/subscriptions",
    (it) =>
      (!customer || it.customer === customer) &&
      (!price || it.items.data.some((item) => item.price.id === price)) &&
      (!plan || it.items.data.some((item) => item.price.id === plan)) &&
      // What lives under a test clock is listed only to whoever names the clock or the customer.
      (clock ? it.test_clock === clock : Boolean(customer) || it.test_clock === null) &&
      starts(Math.max(...it.items.data.map((item) => item.current_period_start))) &&
      ends(Math.min(...it.items.data.map((item) => item.current_period_end))) &&
      (!collection || it.collection_method === collection) &&
      (status === "all" ||
        (status === "ended"
          ? over.includes(it.status)
          : status
            ? it.status === status
            : it.status !== "canceled")),
  );
}

function dropDiscounts(call: Call): object {
  const { world } = call;
  const subscription = findSubscription(world, idOf(call));
  const discount = world.store.get("discount", subscription.discounts[0] ?? "");
  if (!discount) throw resourceMissing("discount", idOf(call));
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.discounts = [];
  });
  emit(world, "customer.discount.deleted", discount, subscription);
  return { ...discount, deleted: true };
}

export const subscriptionRoutes: Route[] = [
  del("/v1/subscriptions/:id/discount", dropDiscounts),
  post("/v1/subscriptions", ({ world, params }) => {
    const customer = customerOf(world, params.required("customer"), "customer");
    return createSubscription(world, customer, params);
  }),
  get("/v1/subscriptions", list),
  get("/v1/subscriptions/:id", (call) => findSubscription(call.world, idOf(call))),
  post("/v1/subscriptions/:id", (call) =>
    updateSubscription(call.world, findSubscription(call.world, idOf(call)), call.params),
  ),
  del("/v1/subscriptions/:id", cancel),
  post("/v1/subscriptions/:id/migrate", (call) => {
    const { world, params } = call;
    const subscription = findSubscription(world, idOf(call));
    const mode = billingModeFrom(world, params, timeOf(world, subscription));
    if (mode.type !== "flexible") {
      throw invalidRequest("You can only migrate a subscription to `flexible` billing mode.", {
        param: "billing_mode[type]",
      });
    }
    change(world, "customer.subscription.updated", subscription, (it) => {
      it.billing_mode = mode;
    });
    return subscription;
  }),
  post("/v1/subscriptions/:id/resume", (call) => {
    const subscription = findSubscription(call.world, idOf(call));
    const { params } = call;
    const behaviour = params.choice("payment_behavior", [
      "resume_on_payment_attempt",
      "resume_on_payment_success",
    ]);
    resumeSubscription(call.world, subscription, {
      anchorNow: anchorFrom(params) !== "unchanged",
      prorations:
        params.choice("proration_behavior", ["always_invoice", "create_prorations", "none"]) ??
        "create_prorations",
      onSuccess: behaviour === "resume_on_payment_success",
    });
    return subscription;
  }),
  post("/v1/subscriptions/:id/pause", pause),
];

/** Turn a call about one item into the update of its subscription. */
function updateItem(call: Call, id: string, entry: FormHash): void {
  const { subscription } = ownerOf(call.world, id);
  const { params } = call;
  const shared: FormHash = {};
  for (const name of ["payment_behavior", "proration_behavior", "proration_date"]) {
    const value = params.text(name);
    if (value) shared[name] = value;
  }
  updateSubscription(call.world, subscription, new Params({ ...shared, items: [{ id, ...entry }] }));
}

function entryFrom(params: Params): FormHash {
  const entry: FormHash = {};
  for (const name of ["price", "plan", "quantity"]) {
    const value = params.text(name);
    if (value) entry[name] = value;
  }
  const metadata = params.hash("metadata");
  if (metadata) entry.metadata = metadata;
  return entry;
}

export const subscriptionItemRoutes: Route[] = [
  get("/v1/subscription_items", ({ world, params }) => {
    const subscription = findSubscription(world, params.required("subscription"), "subscription");
    return pageOf([...subscription.items.data], params, "/v1/subscription_items");
  }),
  post("/v1/subscription_items", (call) => {
    const { world, params } = call;
    const subscription = findSubscription(world, params.required("subscription"), "subscription");
    const known = new Set(subscription.items.data.map((item) => item.id));
    const shared: FormHash = {};
    for (const name of ["payment_behavior", "proration_behavior", "proration_date"]) {
      const value = params.text(name);
      if (value) shared[name] = value;
    }
    updateSubscription(world, subscription, new Params({ ...shared, items: [entryFrom(params)] }));
    return subscription.items.data.find((item) => !known.has(item.id)) ?? {};
  }),
  get("/v1/subscription_items/:id", (call) => ownerOf(call.world, idOf(call)).item),
  post("/v1/subscription_items/:id", (call) => {
    updateItem(call, idOf(call), entryFrom(call.params));
    return ownerOf(call.world, idOf(call)).item;
  }),
  del("/v1/subscription_items/:id", (call) => {
    updateItem(call, idOf(call), { deleted: "true" });
    return { id: idOf(call), object: "subscription_item", deleted: true };
  }),
];
