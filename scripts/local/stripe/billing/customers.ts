import { emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { Customer } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { customer as customerObject } from "../objects/customers.ts";
import { attach, paymentMethodFor } from "../payments/instruments.ts";
import { redeem } from "./discounts.ts";

/** The customer of a path or a parameter. */
export function customerOf(world: World, id: string, param = "id"): Customer {
  const customer = world.store.get("customer", id);
  if (!customer) throw resourceMissing("customer", id, param);
  return customer;
}

/** A postal address. */
export function addressFrom(params: Params | null | undefined): Customer["address"] {
  if (!params) return null;
  const part = (name: string): string | null => params.text(name) ?? null;
  return {
    city: part("city"),
    country: part("country"),
    line1: part("line1"),
    line2: part("line2"),
    postal_code: part("postal_code"),
    state: part("state"),
  };
}

/** Where to send goods. */
export function shippingFrom(params: Params | null | undefined): Customer["shipping"] {
  if (!params) return null;
  return {
    address: addressFrom(params.child("address")) ?? undefined,
    name: params.required("name"),
    phone: params.text("phone") ?? null,
  };
}

/** Set what the parameters name. */
export function applyCustomer(
  world: World,
  customer: Customer,
  params: Params,
  alreadyDefault?: string,
): void {
  for (const name of ["email", "name", "phone", "description"] as const) {
    const value = params.text(name);
    if (value !== undefined) customer[name] = value;
  }
  if (params.has("address")) customer.address = addressFrom(params.child("address"));
  if (params.has("shipping")) customer.shipping = shippingFrom(params.child("shipping"));
  customer.balance = params.integer("balance") ?? customer.balance;
  customer.preferred_locales = params.strings("preferred_locales") ?? customer.preferred_locales;
  customer.tax_exempt = params.choice("tax_exempt", ["none", "exempt", "reverse"]) ?? customer.tax_exempt;
  customer.invoice_prefix = params.text("invoice_prefix") ?? customer.invoice_prefix;
  customer.metadata = mergedMetadata(customer.metadata, params.hash("metadata"));
  const defaultSource = params.text("default_source");
  if (defaultSource) customer.default_source = defaultSource;
  const invoiceSettings = params.child("invoice_settings");
  if (!invoiceSettings) return;
  const footer = invoiceSettings.text("footer");
  if (footer !== undefined) customer.invoice_settings.footer = footer;
  const paymentMethod = invoiceSettings.text("default_payment_method");
  // `pm_card_visa` given as both means one card, not two.
  if (paymentMethod === undefined || paymentMethod === alreadyDefault) return;
  customer.invoice_settings.default_payment_method =
    paymentMethod &&
    ownMethod(world, customer, paymentMethod, invoiceSettings.nameOf("default_payment_method"));
}

/** A payment method, or a card saved the older way, that belongs to a customer. */
export function ownMethod(world: World, customer: Customer, id: string, param: string): string {
  const paymentMethod = paymentMethodFor(world, id, param, customer);
  if (paymentMethod.customer !== customer.id) {
    throw invalidRequest(
      `The customer does not have a payment method with the ID ${id}. The payment method must be attached to the customer.`,
      { code: "resource_missing", param },
    );
  }
  return paymentMethod.id;
}

/** `POST /v1/customers`. */
export function createCustomer(world: World, params: Params): Customer {
  const clock = params.text("test_clock") ?? null;
  if (clock && !world.store.get("test_helpers.test_clock", clock)) {
    throw resourceMissing("test clock", clock, "test_clock");
  }
  const customer = world.store.insert<"customer">(
    customerObject({
      id: newId("cus").replace("_1L", "_L").slice(0, 18),
      created: timeOf(world, { test_clock: clock }),
      invoice_prefix: randomToken(8).toUpperCase(),
      test_clock: clock,
    }),
  );
  const first = params.text("payment_method");
  const attached = first ? paymentMethodFor(world, first, "payment_method", customer) : undefined;
  const wanted = params.child("invoice_settings")?.text("default_payment_method");
  try {
    if (attached?.object === "payment_method") {
      attach(world, attached, customer);
      if (wanted === first) customer.invoice_settings.default_payment_method = attached.id;
    }
    applyCustomer(world, customer, params, attached && first ? first : undefined);
  } catch (error) {
    world.store.delete("customer", customer.id);
    throw error;
  }
  emit(world, "customer.created", customer);
  const coupon = params.text("coupon");
  if (coupon) customer.discount = redeem(world, { coupon, customer });
  return customer;
}
