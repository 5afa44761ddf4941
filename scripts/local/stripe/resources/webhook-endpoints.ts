import { del, get, post } from "../../service/route.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { WebhookEndpoint } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { type Call, idOf, type Route } from "../http/route.ts";

/** Endpoints that an account may have in one mode (https://docs.stripe.com/webhooks). */
const mostEndpoints = 16;

function endpointOf(world: World, id: string): WebhookEndpoint {
  const endpoint = world.store.get("webhook_endpoint", id);
  if (!endpoint) throw resourceMissing("webhook endpoint", id);
  return endpoint;
}

function checkedUrl(url: string): string {
  try {
    return new URL(url).href === "" ? url : url;
  } catch {
    throw invalidRequest("Invalid URL: An explicit scheme (such as https) must be provided.", {
      code: "url_invalid",
      param: "url",
    });
  }
}

function checkedEvents(params: Params): string[] | undefined {
  const events = params.strings("enabled_events");
  if (!events) return undefined;
  if (events.length === 0) throw missingParam("enabled_events");
  if (events.includes("*") && events.length > 1) {
    throw invalidRequest("When enabling all events, '*' must be the only enabled event.", {
      param: "enabled_events",
    });
  }
  return events;
}

/**
 * A place events are sent to. The secret is only in the answer to its creation, as at Stripe.
 * @param payload snapshot, as every endpoint of the first API sends; or thin
 */
export function createEndpoint(
  world: World,
  params: Params,
  secret = `whsec_${randomToken(32)}`,
  payload: "snapshot" | "thin" = "snapshot",
): WebhookEndpoint {
  const events = checkedEvents(params);
  if (!events) throw missingParam("enabled_events");
  const url = checkedUrl(params.required("url"));
  if (world.store.all("webhook_endpoint").length >= mostEndpoints) {
    throw invalidRequest(`You have reached the maximum of ${mostEndpoints} test webhook endpoints.`);
  }
  const isOfConnected = params.boolean("connect") ?? false;
  const endpoint = world.store.insert<"webhook_endpoint">({
    id: newId("we"),
    object: "webhook_endpoint",
    api_version: params.text("api_version") ?? null,
    application: null,
    created: world.wallSeconds(),
    description: params.text("description") ?? null,
    enabled_events: events,
    livemode: false,
    metadata: mergedMetadata({}, params.hash("metadata")),
    status: "enabled",
    url,
  });
  world.secrets.set(endpoint.id, secret);
  if (payload === "thin") world.thinEndpoints.add(endpoint.id);
  if (isOfConnected) world.connectedEndpoints.add(endpoint.id);
  return { ...endpoint, secret };
}

function updateEndpoint(call: Call): WebhookEndpoint {
  const { params } = call;
  const endpoint = endpointOf(call.world, idOf(call));
  endpoint.enabled_events = checkedEvents(params) ?? endpoint.enabled_events;
  const url = params.text("url");
  if (url) endpoint.url = checkedUrl(url);
  const disabled = params.boolean("disabled");
  if (disabled !== undefined) endpoint.status = disabled ? "disabled" : "enabled";
  const description = params.text("description");
  if (description !== undefined) endpoint.description = description;
  endpoint.metadata = mergedMetadata(endpoint.metadata, params.hash("metadata"));
  return endpoint;
}

/** The endpoints that the first API knows: those that send thin events are event destinations only. */
function snapshotEndpoints(world: World): WebhookEndpoint[] {
  return newestFirst(world.store.where("webhook_endpoint", ({ id }) => !world.thinEndpoints.has(id)));
}

export const webhookEndpointRoutes: Route[] = [
  post("/v1/webhook_endpoints", ({ world, params }) => createEndpoint(world, params)),
  get("/v1/webhook_endpoints", ({ world, params }) =>
    pageOf(snapshotEndpoints(world), params, "/v1/webhook_endpoints"),
  ),
  get("/v1/webhook_endpoints/:id", (call) => endpointOf(call.world, idOf(call))),
  post("/v1/webhook_endpoints/:id", updateEndpoint),
  del("/v1/webhook_endpoints/:id", (call) => {
    const endpoint = endpointOf(call.world, idOf(call));
    call.world.secrets.delete(endpoint.id);
    call.world.thinEndpoints.delete(endpoint.id);
    call.world.connectedEndpoints.delete(endpoint.id);
    return call.world.store.delete("webhook_endpoint", endpoint.id);
  }),
];

/** An endpoint as an event destination (https://docs.stripe.com/api/v2/core/event_destinations); its URL on request. */
function shownDestination(world: World, endpoint: WebhookEndpoint, include: string[]): object {
  const created = new Date(endpoint.created * 1000).toISOString();
  const isThin = world.thinEndpoints.has(endpoint.id);
  return {
    id: endpoint.id,
    object: "v2.core.event_destination",
    created,
    description: endpoint.description ?? "",
    enabled_events: endpoint.enabled_events,
    event_payload: isThin ? "thin" : "snapshot",
    events_from: [world.connectedEndpoints.has(endpoint.id) ? "@accounts" : "@self"],
    livemode: endpoint.livemode,
    metadata: endpoint.metadata,
    name: endpoint.description ?? "",
    snapshot_api_version: isThin ? null : endpoint.api_version,
    status: endpoint.status,
    status_details: endpoint.status === "disabled" ? { disabled: { reason: "user" } } : null,
    type: "webhook_endpoint",
    updated: created,
    webhook_endpoint: include.includes("webhook_endpoint.url") ? { url: endpoint.url } : null,
  };
}

/** How many to a page where nobody says. The second API has pages named by addresses. */
const destinationsAPage = 20;

function listDestinations({ world, params }: Call): object {
  const limit = params.integer("limit") ?? destinationsAPage;
  const start = params.integer("page") ?? 0;
  const include = params.strings("include") ?? [];
  const all = newestFirst(world.store.all("webhook_endpoint"));
  const next = start + limit < all.length;
  const query = include.map((field, index) => `&include[${index}]=${encodeURIComponent(field)}`).join("");
  return {
    data: all.slice(start, start + limit).map((endpoint) => shownDestination(world, endpoint, include)),
    next_page_url: next ? `/v2/core/event_destinations?limit=${limit}&page=${start + limit}${query}` : null,
    previous_page_url: null,
  };
}

/** Makes one, such as the dashboard makes with the payload style "Thin". */
function createDestination({ world, params }: Call): object {
  const payload = params.choice("event_payload", ["snapshot", "thin"] as const);
  if (!payload) throw missingParam("event_payload");
  if (params.required("type") !== "webhook_endpoint") {
    throw invalidRequest("The local Stripe knows destinations of type webhook_endpoint only.");
  }
  const include = params.strings("include") ?? [];
  const url = params.child("webhook_endpoint")?.required("url");
  if (!url) throw missingParam("webhook_endpoint[url]");
  const made = createEndpoint(
    world,
    params.with({ url, description: params.required("name") }),
    undefined,
    payload,
  );
  return shownDestination(world, made, include);
}

export const eventDestinationRoutes: Route[] = [
  get("/v2/core/event_destinations", listDestinations),
  post("/v2/core/event_destinations", createDestination),
  get("/v2/core/event_destinations/:id", (call) =>
    shownDestination(call.world, endpointOf(call.world, idOf(call)), call.params.strings("include") ?? []),
  ),
  del("/v2/core/event_destinations/:id", (call) => {
    const endpoint = endpointOf(call.world, idOf(call));
    call.world.secrets.delete(endpoint.id);
    call.world.thinEndpoints.delete(endpoint.id);
    call.world.connectedEndpoints.delete(endpoint.id);
    call.world.store.delete("webhook_endpoint", endpoint.id);
    return { id: endpoint.id, object: "v2.core.event_destination" };
  }),
];
