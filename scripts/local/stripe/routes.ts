import { paymentsOf } from "./billing/invoices.ts";
import { sessionLines } from "./checkout/sessions.ts";
import type { Includable } from "./http/expand.ts";
import { newestFirst } from "./http/list.ts";
import type { Route } from "./http/route.ts";
import { accountRoutes, eventRetryRoute, eventRoutes } from "./resources/account.ts";
import { customerBalanceRoutes } from "./resources/balances.ts";
import { planRoutes, priceRoutes, productRoutes } from "./resources/catalogue.ts";
import { balanceRoutes, chargeRoutes, disputeRoutes, refundRoutes } from "./resources/charges.ts";
import { checkoutRoutes } from "./resources/checkout.ts";
import { creditNoteRoutes } from "./resources/credit-notes.ts";
import { customerRoutes } from "./resources/customers.ts";
import { entitlementRoutes } from "./resources/entitlements.ts";
import { paymentIntentRoutes, setupIntentRoutes } from "./resources/intents.ts";
import { invoiceItemRoutes } from "./resources/invoice-items.ts";
import { invoicePaymentRoutes, invoiceRoutes } from "./resources/invoices.ts";
import { paymentMethodRoutes } from "./resources/payment-methods.ts";
import { paymentRecordRoutes } from "./resources/payment-records.ts";
import { portalRoutes } from "./resources/portal.ts";
import { couponRoutes, promotionCodeRoutes, taxRateRoutes } from "./resources/promotions.ts";
import { shippingRateRoutes } from "./resources/shipping-rates.ts";
import { sourceRoutes } from "./resources/sources.ts";
import { subscriptionScheduleRoutes } from "./resources/subscription-schedules.ts";
import { subscriptionItemRoutes, subscriptionRoutes } from "./resources/subscriptions.ts";
import { duebaseHelperRoutes, testClockRoutes } from "./resources/test-helpers.ts";
import { eventDestinationRoutes, webhookEndpointRoutes } from "./resources/webhook-endpoints.ts";

/** Every path this server knows. */
export const routes: Route[] = [
  ...accountRoutes,
  ...balanceRoutes,
  ...chargeRoutes,
  ...checkoutRoutes,
  ...couponRoutes,
  ...creditNoteRoutes,
  ...customerBalanceRoutes,
  ...customerRoutes,
  ...disputeRoutes,
  ...duebaseHelperRoutes,
  ...entitlementRoutes,
  ...eventDestinationRoutes,
  eventRetryRoute,
  ...eventRoutes,
  ...invoiceItemRoutes,
  ...invoicePaymentRoutes,
  ...invoiceRoutes,
  ...paymentIntentRoutes,
  ...paymentMethodRoutes,
  ...paymentRecordRoutes,
  ...planRoutes,
  ...portalRoutes,
  ...priceRoutes,
  ...productRoutes,
  ...promotionCodeRoutes,
  ...refundRoutes,
  ...setupIntentRoutes,
  ...shippingRateRoutes,
  ...sourceRoutes,
  ...subscriptionItemRoutes,
  ...subscriptionRoutes,
  ...subscriptionScheduleRoutes,
  ...taxRateRoutes,
  ...testClockRoutes,
  ...webhookEndpointRoutes,
];

function listOf<T extends { created?: number }>(found: T[], url: string): object {
  const data = newestFirst(found);
  return { object: "list", data: data.slice(0, 10), has_more: data.length > 10, url };
}

/** Fields Stripe leaves out unless `expand[]` asks for them. */
export const includable: Includable = {
  "charge.refunds": (world, { id }) =>
    listOf(world.store.related("refund", "charge", String(id)), `/v1/charges/${String(id)}/refunds`),
  "checkout.session.line_items": (world, { id }) => ({
    object: "list",
    data: sessionLines(world, String(id)),
    has_more: false,
    url: `/v1/checkout/sessions/${String(id)}/line_items`,
  }),
  "customer.sources": (world, { id }) =>
    listOf(
      world.store.where("card", (it) => it.customer === id).map((it) => ({ ...it, created: 0 })),
      `/v1/customers/${String(id)}/sources`,
    ),
  "customer.subscriptions": (world, { id }) =>
    listOf(
      world.store.related("subscription", "customer", String(id)).filter((it) => it.status !== "canceled"),
      `/v1/customers/${String(id)}/subscriptions`,
    ),
  "invoice.confirmation_secret": (world, { id }) => {
    const intent = world.store.get(
      "payment_intent",
      paymentsOf(world, String(id))[0]?.payment.payment_intent ?? "",
    );
    return intent ? { client_secret: intent.client_secret, type: "payment_intent" } : null;
  },
  // In answers that ask for it, and in no event.
  "invoice.amount_paid_off_stripe": (world, { id }) =>
    paymentsOf(world, String(id))
      .filter(({ payment, status }) => payment.type === "payment_record" && status === "paid")
      .reduce((sum, { amount_paid }) => sum + (amount_paid ?? 0), 0),
  "invoice.payments": (world, { id }) =>
    listOf(paymentsOf(world, String(id)).reverse(), `/v1/invoice_payments?invoice=${String(id)}`),
  "price.currency_options": (_world, { currency, unit_amount, unit_amount_decimal, tax_behavior }) => ({
    [String(currency)]: { custom_unit_amount: null, tax_behavior, unit_amount, unit_amount_decimal },
  }),
  // No price here has any.
  "price.tiers": () => null,
};
