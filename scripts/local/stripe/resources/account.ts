import { del, get, post } from "../../service/route.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { StripeEvent, WebhookEndpoint } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf, timeFilter } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

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

/** A place events are sent to. The secret is only in the answer to its creation, as at Stripe. */
export function createEndpoint(
  world: World,
  params: Params,
  secret = `whsec_${randomToken(32)}`,
): WebhookEndpoint {
  const events = params.strings("enabled_events");
  if (!events || events.length === 0) throw missingParam("enabled_events");
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
    url: checkedUrl(params.required("url")),
  });
  world.secrets.set(endpoint.id, secret);
  return { ...endpoint, secret };
}

export const webhookEndpointRoutes: Route[] = [
  post("/v1/webhook_endpoints", ({ world, params }) => createEndpoint(world, params)),
  get("/v1/webhook_endpoints", ({ world, params }) =>
    pageOf(newestFirst(world.store.all("webhook_endpoint")), params, "/v1/webhook_endpoints"),
  ),
  get("/v1/webhook_endpoints/:id", (call) => endpointOf(call.world, idOf(call))),
  post("/v1/webhook_endpoints/:id", (call) => {
    const { params } = call;
    const endpoint = endpointOf(call.world, idOf(call));
    endpoint.enabled_events = params.strings("enabled_events") ?? endpoint.enabled_events;
    const url = params.text("url");
    if (url) endpoint.url = checkedUrl(url);
    const disabled = params.boolean("disabled");
    if (disabled !== undefined) endpoint.status = disabled ? "disabled" : "enabled";
    const description = params.text("description");
    if (description !== undefined) endpoint.description = description;
    endpoint.metadata = mergedMetadata(endpoint.metadata, params.hash("metadata"));
    return endpoint;
  }),
  del("/v1/webhook_endpoints/:id", (call) => {
    const endpoint = endpointOf(call.world, idOf(call));
    call.world.secrets.delete(endpoint.id);
    return call.world.store.delete("webhook_endpoint", endpoint.id);
  }),
];

/** At most this many types in one question, as at Stripe. */
const maxTypes = 20;

function matchesType(wanted: string[], type: string): boolean {
  return wanted.some(
    (it) => it === type || it === "*" || (it.endsWith(".*") && type.startsWith(it.slice(0, -1))),
  );
}

function listEvents(world: World, params: Params): StripeEvent[] {
  const type = params.text("type");
  const types = params.strings("types");
  if (type && types) {
    throw invalidRequest("You may only specify one of these parameters: type, types.", { param: "type" });
  }
  if (types && types.length > maxTypes) {
    throw invalidRequest(`You may only specify up to ${maxTypes} types.`, { param: "types" });
  }
  const wanted = types ?? (type ? [type] : null);
  const delivered = params.boolean("delivery_success");
  const created = timeFilter(params, "created");
  const cursor = params.text("starting_after") ?? params.text("ending_before");
  return world.events
    .recent(world.wallSeconds())
    .map((entry) => entry.event)
    .filter(
      (event) =>
        event.id === cursor ||
        ((!wanted || matchesType(wanted, event.type)) &&
          (delivered === undefined || delivered === (event.pending_webhooks === 0)) &&
          created(event.created)),
    );
}

export const eventRoutes: Route[] = [
  get("/v1/events", ({ world, params }) => pageOf(listEvents(world, params), params, "/v1/events")),
  get("/v1/events/:id", (call) => {
    const event = call.world.events.get(idOf(call));
    if (!event) throw resourceMissing("event", idOf(call));
    return event;
  }),
];

/** `stripe events resend`. */
export const eventRetryRoute: Route = post("/v1/events/:id/retry", (call) => {
  const event = call.world.events.get(idOf(call));
  if (!event) throw resourceMissing("event", idOf(call));
  call.world.resend(event.id, call.params.text("webhook_endpoint") ?? null);
  return event;
});

export const accountRoutes: Route[] = [
  get("/v1/account", ({ world }) => world.store.all("account")[0] ?? {}),
  get("/v1/accounts/:id", (call) => {
    const account = call.world.store.get("account", idOf(call));
    if (!account) throw resourceMissing("account", idOf(call));
    return account;
  }),
];
