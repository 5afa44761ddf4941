import { get, post } from "../../service/route.ts";
import type { StripeEvent } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { pageOf, timeFilter } from "../http/list.ts";
import type { Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

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
