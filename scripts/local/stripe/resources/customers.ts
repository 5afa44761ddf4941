import { del, get, post } from "../../service/route.ts";
import { cancelSubscription } from "../billing/cancellation.ts";
import { applyCustomer, createCustomer, customerOf } from "../billing/customers.ts";
import { redeem, removeDiscount } from "../billing/discounts.ts";
import { change, emit } from "../core/events.ts";
import type { Customer } from "../core/wire.ts";
import { resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf, pageOfTable } from "../http/list.ts";
import { type Call, idOf, type Route } from "../http/route.ts";

function updateCustomer(call: Call): Customer {
  const { world, params } = call;
  const customer = customerOf(world, idOf(call));
  change(world, "customer.updated", customer, (it) => applyCustomer(world, it, params));
  const coupon = params.text("coupon");
  if (coupon === null) removeDiscount(world, customer);
  if (coupon) {
    const previous = customer.discount;
    customer.discount = redeem(world, { coupon, customer, replaces: previous ?? null });
  }
  return customer;
}

function deleteCustomer(call: Call): object {
  const { world } = call;
  const customer = customerOf(world, idOf(call));
  const running = world.store.where(
    "subscription",
    (it) => it.customer === customer.id && !["canceled", "incomplete_expired"].includes(it.status),
  );
  for (const subscription of running) cancelSubscription(world, subscription, {});
  for (const paymentMethod of world.store.where("payment_method", (it) => it.customer === customer.id)) {
    paymentMethod.customer = null;
  }
  emit(world, "customer.deleted", customer);
  return world.store.delete("customer", customer.id);
}

export const customerRoutes: Route[] = [
  post("/v1/customers", ({ world, params }) => createCustomer(world, params)),
  get("/v1/customers", ({ world, params }) => {
    const email = params.text("email");
    const clock = params.text("test_clock");
    // Who lives under a test clock is listed only to whoever names the clock.
    return pageOfTable(
      world,
      "customer",
      params,
      "/v1/customers",
      (it) => (!email || it.email === email) && it.test_clock === (clock ?? null),
    );
  }),
  get("/v1/customers/:id", (call) => {
    const tombstone = call.world.store.tombstones.get(idOf(call));
    return tombstone?.object === "customer" ? tombstone : customerOf(call.world, idOf(call));
  }),
  post("/v1/customers/:id", updateCustomer),
  del("/v1/customers/:id", deleteCustomer),
  del("/v1/customers/:id/discount", (call) => {
    const customer = customerOf(call.world, idOf(call));
    return removeDiscount(call.world, customer);
  }),
  get("/v1/customers/:id/payment_methods", (call) => {
    const customer = customerOf(call.world, idOf(call));
    const type = call.params.text("type");
    const found = call.world.store.where(
      "payment_method",
      (it) => it.customer === customer.id && (!type || it.type === type),
    );
    return pageOf(newestFirst(found), call.params, `/v1/customers/${customer.id}/payment_methods`);
  }),
  get("/v1/customers/:id/payment_methods/:method", (call) => {
    const customer = customerOf(call.world, idOf(call));
    const method = call.world.store.get("payment_method", call.path.method ?? "");
    if (method?.customer !== customer.id) throw resourceMissing("PaymentMethod", call.path.method ?? "");
    return method;
  }),
];
