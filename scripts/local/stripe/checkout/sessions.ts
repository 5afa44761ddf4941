import { priceFrom } from "../billing/catalogue.ts";
import { amountOf } from "../billing/lines.ts";
import { emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { CheckoutSession, Customer, LineItem } from "../core/wire.ts";
import { asksSince, timeOf, type World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing, unknownParam } from "../http/errors.ts";
import type { FormHash } from "../http/form.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { checkoutSession } from "../objects/checkout.ts";

function lineItemsFrom(world: World, params: Params): LineItem[] {
  return (params.children("line_items") ?? []).map((entry) => {
    const price = priceFrom(world, entry);
    const quantity = entry.integer("quantity") ?? 1;
    const amount = amountOf(price, quantity);
    return {
      id: newId("li"),
      object: "item",
      adjustable_quantity: null,
      amount_discount: 0,
      amount_subtotal: amount,
      amount_tax: 0,
      amount_total: amount,
      currency: price.currency,
      description: world.store.get("product", price.product)?.name ?? null,
      metadata: {},
      price: structuredClone(price),
      quantity,
    };
  });
}

/** Discounts are for the subscription the session makes. */
function discountsOf(params: Params): FormHash {
  const discounts = params.children("discounts") ?? [];
  if (discounts.length === 0) return {};
  const wanted = discounts.map((discount): FormHash => {
    const coupon = discount.text("coupon");
    return coupon ? { coupon } : { promotion_code: discount.required("promotion_code") };
  });
  return { discounts: wanted };
}

function modeOf(params: Params, items: LineItem[]): "payment" | "setup" | "subscription" {
  const mode = params.choice("mode", ["payment", "setup", "subscription"] as const);
  if (!mode) throw missingParam("mode");
  if (mode !== "setup" && items.length === 0) throw missingParam("line_items");
  const recurring = items.some((item) => item.price?.recurring);
  if (mode === "subscription" && !recurring) {
    throw invalidRequest("You must provide at least one recurring price in `subscription` mode.", {
      param: "line_items",
    });
  }
  if (mode === "payment" && recurring) {
    throw invalidRequest(
      "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
      { param: "mode" },
    );
  }
  return mode;
}

function customerFrom(world: World, params: Params): Customer | null {
  const id = params.text("customer");
  if (!id) return null;
  const customer = world.store.get("customer", id);
  if (!customer) throw resourceMissing("customer", id, "customer");
  return customer;
}

function totalsOf(items: LineItem[], trial: boolean): { subtotal: number; total: number } {
  const subtotal = items
    .filter((item) => !(trial && item.price?.recurring))
    .reduce((sum, item) => sum + item.amount_subtotal, 0);
  return { subtotal, total: subtotal };
}

function expiryFrom(params: Params): { expires_at?: number } {
  const expiry = params.integer("expires_at");
  return expiry == null ? {} : { expires_at: expiry };
}

/** A new session; the buyer goes to its `url`. */
export function createSession(world: World, params: Params): CheckoutSession {
  if (params.has("payment_method_types") && asksSince(world, "2026-09-30"))
    throw unknownParam("payment_method_types");
  const allowed = params.strings("allowed_payment_method_types");
  const items = lineItemsFrom(world, params);
  const mode = modeOf(params, items);
  const customer = customerFrom(world, params);
  const now = timeOf(world, customer);
  const id = `cs_test_${randomToken(58)}`;
  const embedded = params.text("ui_mode") && params.text("ui_mode") !== "hosted_page";
  if (!embedded && !params.text("success_url")) throw missingParam("success_url");
  const subscription = params.kept("subscription_data");
  const trial = "trial_period_days" in subscription || "trial_end" in subscription;
  const { subtotal, total } = totalsOf(items, trial);
  world.store.hidden.sessions.set(id, {
    lineItems: items,
    subscription: {
      // The session's maker decides how it will be billed, not whoever completes it.
      billing_mode: { type: asksSince(world, "2025-09-30") ? "flexible" : "classic" },
      ...subscription,
      ...discountsOf(params),
    },
    payment: params.kept("payment_intent_data"),
    setup: params.kept("setup_intent_data"),
  });
  const session = world.store.insert<"checkout.session">(
    checkoutSession({
      id,
      allow_promotion_codes: params.boolean("allow_promotion_codes") ?? null,
      allowed_payment_method_types: (allowed ?? null) as CheckoutSession["allowed_payment_method_types"],
      amount_subtotal: mode === "setup" ? null : subtotal,
      amount_total: mode === "setup" ? null : total,
      billing_address_collection: params.choice("billing_address_collection", ["auto", "required"]) ?? null,
      cancel_url: params.text("cancel_url") ?? null,
      client_reference_id: params.text("client_reference_id") ?? null,
      client_secret: embedded ? `${id}_secret_${randomToken(24)}` : null,
      collected_information: { business_name: null, individual_name: null, shipping_details: null },
      created: now,
      currency: params.text("currency") ?? items[0]?.currency ?? null,
      customer: customer?.id ?? null,
      customer_creation:
        mode === "payment" && !customer
          ? (params.choice("customer_creation", ["always", "if_required"]) ?? "if_required")
          : customer
            ? null
            : "always",
      customer_email: params.text("customer_email") ?? null,
      ...expiryFrom(params),
      metadata: mergedMetadata({}, params.hash("metadata")),
      mode,
      payment_method_collection:
        mode === "subscription"
          ? (params.choice("payment_method_collection", ["always", "if_required"]) ?? "always")
          : "if_required",
      payment_method_options: {},
      payment_method_types: allowed ?? params.strings("payment_method_types") ?? ["card"],
      payment_status:
        mode === "setup" || (mode === "subscription" && total === 0) ? "no_payment_required" : "unpaid",
      phone_number_collection: {
        enabled: params.child("phone_number_collection")?.boolean("enabled") ?? false,
      },
      return_url: params.text("return_url") ?? undefined,
      submit_type: params.choice("submit_type", ["auto", "book", "donate", "pay", "subscribe"]) ?? null,
      success_url: params.text("success_url") ?? null,
      ui_mode: embedded ? "embedded_page" : "hosted_page",
      url: embedded ? null : `${world.publicUrl}/c/pay/${id}`,
    }),
  );
  world.jobs.set("session.expire", id, customer?.test_clock ?? null, session.expires_at);
  return session;
}

/** The buyer never came, or the merchant gave up on them. */
export function expireSession(world: World, session: CheckoutSession): void {
  if (session.status !== "open") {
    throw invalidRequest(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${session.status}.`,
    );
  }
  session.status = "expired";
  session.url = null;
  world.jobs.set("session.expire", session.id, null, null);
  emit(world, "checkout.session.expired", session);
}

/** The line items of a session. */
export function sessionLines(world: World, id: string): LineItem[] {
  return world.store.hidden.sessions.get(id)?.lineItems ?? [];
}

/** The session of a path. */
export function findSession(world: World, id: string): CheckoutSession {
  const session = world.store.get("checkout.session", id);
  if (!session) throw resourceMissing("checkout.session", id);
  return session;
}
