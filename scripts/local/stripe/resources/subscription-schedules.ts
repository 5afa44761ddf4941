import { get, post } from "../../service/route.ts";
import { cancelSubscription } from "../billing/cancellation.ts";
import { customerOf } from "../billing/customers.ts";
import { createSchedule, releaseSchedule } from "../billing/terms.ts";
import type { SubscriptionSchedule } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { idOf, type Route } from "../http/route.ts";

function scheduleOf(world: World, id: string): SubscriptionSchedule {
  const schedule = world.store.get("subscription_schedule", id);
  if (!schedule) throw resourceMissing("subscription_schedule", id);
  return schedule;
}

export const subscriptionScheduleRoutes: Route[] = [
  post("/v1/subscription_schedules", ({ world, params }) =>
    createSchedule(world, customerOf(world, params.required("customer"), "customer"), params),
  ),
  get("/v1/subscription_schedules", ({ world, params }) => {
    const customer = params.text("customer");
    const found = world.store.where("subscription_schedule", (it) => !customer || it.customer === customer);
    return pageOf(newestFirst(found), params, "/v1/subscription_schedules");
  }),
  get("/v1/subscription_schedules/:id", (call) => scheduleOf(call.world, idOf(call))),
  post("/v1/subscription_schedules/:id/release", (call) =>
    releaseSchedule(call.world, scheduleOf(call.world, idOf(call))),
  ),
  post("/v1/subscription_schedules/:id/cancel", (call) => {
    const schedule = scheduleOf(call.world, idOf(call));
    const subscription = call.world.store.get("subscription", schedule.subscription ?? "");
    if (subscription) cancelSubscription(call.world, subscription, {});
    return schedule;
  }),
];
