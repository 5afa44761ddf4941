import { get, post } from "../../service/route.ts";
import { customerOf } from "../billing/customers.ts";
import { findSubscription } from "../billing/subscriptions.ts";
import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { PortalConfiguration, PortalSession } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata, Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

function configurationOf(world: World, id: string, param = "id"): PortalConfiguration {
  const configuration = world.store.get("billing_portal.configuration", id);
  if (!configuration) throw resourceMissing("billing_portal.configuration", id, param);
  return configuration;
}

/** What customers may change to. */
function productsFrom(params: Params | null | undefined) {
  return params?.children("products")?.map((it) => ({
    product: it.required("product"),
    prices: it.strings("prices") ?? [],
    adjustable_quantity: { enabled: false, maximum: null, minimum: 0 },
  }));
}

function updateFeature(
  params: Params | null | undefined,
): PortalConfiguration["features"]["subscription_update"] {
  const asked = params?.child("subscription_update");
  return {
    billing_cycle_anchor: null,
    default_allowed_updates: asked?.has("products") ? ["price"] : [],
    enabled: asked?.boolean("enabled") ?? false,
    products: productsFrom(asked) ?? [],
    proration_behavior:
      asked?.choice("proration_behavior", ["none", "create_prorations", "always_invoice"]) ?? "none",
    schedule_at_period_end: { conditions: [] },
    trial_update_behavior: "end_trial",
  };
}

function featuresFrom(params: Params | null | undefined): PortalConfiguration["features"] {
  const enabled = (name: string, otherwise: boolean): boolean =>
    params?.child(name)?.boolean("enabled") ?? otherwise;
  return {
    customer_update: { allowed_updates: ["email", "address"], enabled: enabled("customer_update", true) },
    invoice_history: { enabled: enabled("invoice_history", true) },
    payment_method_update: {
      enabled: enabled("payment_method_update", true),
      payment_method_configuration: null,
    },
    subscription_cancel: {
      cancellation_reason: { enabled: false, feedback_options: null, options: [] },
      enabled: enabled("subscription_cancel", true),
      mode:
        params?.child("subscription_cancel")?.choice("mode", ["at_period_end", "immediately"]) ??
        "at_period_end",
      proration_behavior: "none",
    },
    subscription_pause: {
      duration: { interval_options: [], type: "indefinite" },
      enabled: enabled("subscription_pause", false),
    },
    subscription_update: updateFeature(params),
  };
}

function createConfiguration(world: World, params: Params, isDefault: boolean): PortalConfiguration {
  const profile = params.child("business_profile");
  const now = world.wallSeconds();
  const configuration = world.store.insert<"billing_portal.configuration">({
    id: newId("bpc"),
    object: "billing_portal.configuration",
    active: true,
    application: null,
    business_profile: {
      headline: profile?.text("headline") ?? null,
      privacy_policy_url: profile?.text("privacy_policy_url") ?? null,
      terms_of_service_url: profile?.text("terms_of_service_url") ?? null,
    },
    created: now,
    default_return_url: params.text("default_return_url") ?? null,
    features: featuresFrom(params.child("features")),
    is_default: isDefault,
    livemode: false,
    login_page: { enabled: false, url: null },
    metadata: mergedMetadata({}, params.hash("metadata")),
    name: params.text("name") ?? null,
    updated: now,
  });
  emit(world, "billing_portal.configuration.created", configuration);
  return configuration;
}

function defaultConfiguration(world: World): PortalConfiguration {
  const known = world.store.where("billing_portal.configuration", (it) => it.is_default)[0];
  return known ?? createConfiguration(world, new Params({}), true);
}

const flowTypes = ["payment_method_update", "subscription_cancel", "subscription_update"] as const;

/** Where a flow leads once it is done: to the portal's own pages, or back to the application. */
function completionFrom(params: Params): NonNullable<PortalSession["flow"]>["after_completion"] {
  const asked = params.child("after_completion");
  const types = ["hosted_confirmation", "portal_homepage", "redirect"] as const;
  const type = asked?.choice("type", types) ?? "portal_homepage";
  const message = asked?.child("hosted_confirmation")?.text("custom_message") ?? null;
  return {
    hosted_confirmation: type === "hosted_confirmation" ? { custom_message: message } : null,
    redirect:
      type === "redirect" && asked
        ? { return_url: (asked.child("redirect") ?? new Params({}, "redirect")).required("return_url") }
        : null,
    type,
  };
}

/** The subscription of a flow: the customer's own, and the portal must allow what is asked for. */
function subscriptionOf(
  world: World,
  customer: string,
  features: PortalConfiguration["features"],
  type: "subscription_cancel" | "subscription_update",
  params: Params,
): string {
  const subscription = findSubscription(
    world,
    params.required("subscription"),
    params.nameOf("subscription"),
  );
  if (subscription.customer !== customer)
    throw resourceMissing("subscription", subscription.id, params.nameOf("subscription"));
  if (!features[type].enabled) {
    const what = type === "subscription_cancel" ? "canceled" : "updated";
    throw invalidRequest(
      `This subscription cannot be ${what} because the ${type.replace("_", " ")} feature in the portal configuration is disabled.`,
    );
  }
  return subscription.id;
}

function flowFrom(
  world: World,
  customer: string,
  features: PortalConfiguration["features"],
  params: Params | null | undefined,
): PortalSession["flow"] {
  const type = params?.choice("type", flowTypes);
  if (!params || !type) return null;
  const subscription = (it: "subscription_cancel" | "subscription_update") =>
    subscriptionOf(world, customer, features, it, params.child(it) ?? new Params({}, `flow_data[${it}]`));
  return {
    after_completion: completionFrom(params),
    customer_update: null,
    subscription_cancel:
      type === "subscription_cancel" ? { retention: null, subscription: subscription(type) } : null,
    subscription_pause: null,
    subscription_update: type === "subscription_update" ? { subscription: subscription(type) } : null,
    subscription_update_confirm: null,
    type,
  };
}

export const portalRoutes: Route[] = [
  post("/v1/billing_portal/sessions", ({ world, params }) => {
    const customer = customerOf(world, params.required("customer"), "customer");
    const wanted = params.text("configuration");
    const configuration = wanted
      ? configurationOf(world, wanted, "configuration")
      : defaultConfiguration(world);
    const id = newId("bps");
    const session = world.store.insert<"billing_portal.session">({
      id,
      object: "billing_portal.session",
      configuration: configuration.id,
      created: timeOf(world, customer),
      customer: customer.id,
      customer_account: null,
      flow: flowFrom(world, customer.id, configuration.features, params.child("flow_data")),
      livemode: false,
      locale: null,
      on_behalf_of: null,
      return_url: params.text("return_url") ?? configuration.default_return_url,
      url: `${world.publicUrl}/p/session/${id}_${randomToken(16)}`,
    });
    emit(world, "billing_portal.session.created", session);
    return session;
  }),
  post("/v1/billing_portal/configurations", ({ world, params }) => createConfiguration(world, params, false)),
  get("/v1/billing_portal/configurations", ({ world, params }) => {
    // At Stripe it is there once the portal was saved in the dashboard, as every project has to do anyway.
    defaultConfiguration(world);
    const all = newestFirst(world.store.all("billing_portal.configuration"));
    return pageOf(all, params, "/v1/billing_portal/configurations");
  }),
  get("/v1/billing_portal/configurations/:id", (call) => configurationOf(call.world, idOf(call))),
  post("/v1/billing_portal/configurations/:id", (call) => {
    const { world, params } = call;
    const configuration = configurationOf(world, idOf(call));
    change(world, "billing_portal.configuration.updated", configuration, (it) => {
      it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
      it.active = params.boolean("active") ?? it.active;
      if (params.has("features")) it.features = featuresFrom(params.child("features"));
      const url = params.text("default_return_url");
      if (url !== undefined) it.default_return_url = url;
      it.updated = world.wallSeconds();
    });
    return configuration;
  }),
];
