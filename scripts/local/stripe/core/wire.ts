import type Stripe from "stripe";

/** What every object of Stripe's that can stand behind an id has. */
interface Referable {
  id: string;
  object: string;
}

/**
 * A type of stripe-node as it travels: references are ids (nothing is expanded) and decimals are strings.
 * The shapes stay Stripe's own; only what the SDK's types leave open (`string | Customer`) is decided here.
 */
export type Wire<T> = T extends Stripe.Decimal
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends readonly (infer Element)[]
      ? WireField<Element>[]
      : T extends object
        ? { [Key in keyof T]: WireField<T[Key]> }
        : T;

type WireField<F> = [Extract<F, string>] extends [never]
  ? Wire<F>
  : string extends Extract<F, string>
    ? Wire<Exclude<F, Referable>>
    : Wire<F>;

export type Account = Wire<Stripe.Account>;
export type ActiveEntitlement = Wire<Stripe.Entitlements.ActiveEntitlement>;
export type BalanceTransaction = Wire<Stripe.BalanceTransaction>;
export type Card = Wire<Stripe.Card>;
export type Charge = Wire<Stripe.Charge>;
export type CheckoutSession = Wire<Stripe.Checkout.Session>;
export type Coupon = Wire<Stripe.Coupon>;
export type CreditNote = Wire<Stripe.CreditNote>;
export type CreditGrant = Wire<Stripe.Billing.CreditGrant>;
export type CustomerBalanceTransaction = Wire<Stripe.CustomerBalanceTransaction>;
export type PaymentRecord = Wire<Stripe.PaymentRecord>;
export type ShippingRate = Wire<Stripe.ShippingRate>;
export type Customer = Wire<Stripe.Customer>;
export type Discount = Wire<Stripe.Discount>;
export type Dispute = Wire<Stripe.Dispute>;
export type Feature = Wire<Stripe.Entitlements.Feature>;
export type Invoice = Wire<Stripe.Invoice>;
export type InvoiceItem = Wire<Stripe.InvoiceItem>;
export type InvoiceLine = Wire<Stripe.InvoiceLineItem>;
export type InvoicePayment = Wire<Stripe.InvoicePayment>;
export type LineItem = Wire<Stripe.LineItem>;
export type PaymentIntent = Wire<Stripe.PaymentIntent>;
export type PaymentMethod = Wire<Stripe.PaymentMethod>;
export type Plan = Wire<Stripe.Plan>;
export type PortalConfiguration = Wire<Stripe.BillingPortal.Configuration>;
export type PortalSession = Wire<Stripe.BillingPortal.Session>;
export type Price = Wire<Stripe.Price>;
export type Product = Wire<Stripe.Product>;
export type ProductFeature = Wire<Stripe.ProductFeature>;
export type PromotionCode = Wire<Stripe.PromotionCode>;
export type Refund = Wire<Stripe.Refund>;
export type SetupIntent = Wire<Stripe.SetupIntent>;
export type Subscription = Wire<Stripe.Subscription>;
export type SubscriptionItem = Wire<Stripe.SubscriptionItem>;
export type SubscriptionSchedule = Wire<Stripe.SubscriptionSchedule>;
export type TaxRate = Wire<Stripe.TaxRate>;
export type TestClock = Wire<Stripe.TestHelpers.TestClock>;
export type WebhookEndpoint = Wire<Stripe.WebhookEndpoint>;
export type EventType = Stripe.Event.Type;

/** An event as it is stored and sent; `data.object` is a copy of the object at that moment. */
export interface StripeEvent extends Omit<Wire<Stripe.EventBase>, "data"> {
  data: { object: JsonObject; previous_attributes?: JsonObject };
}

export type Json = string | number | boolean | null | undefined | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}
