import { openPayment, preparePayment } from "./billing/invoices.ts";
import { periodEnd, scheduleSubscription, trialNoticeDays } from "./billing/schedule.ts";
import type {
  Charge,
  Customer,
  Invoice,
  InvoicePayment,
  PaymentIntent,
  PaymentMethod,
  Price,
  Product,
  Refund,
  Subscription,
} from "./core/wire.ts";
import type { World } from "./core/world.ts";
import { price, product } from "./objects/catalogue.ts";
import { customer } from "./objects/customers.ts";
import {
  invoice,
  invoiceLine,
  invoicePayment,
  pricingOf,
  subscriptionItemParent,
} from "./objects/invoices.ts";
import { card, paymentMethod } from "./objects/payment-methods.ts";
import { charge, dispute, paymentIntent, refund } from "./objects/payments.ts";
import { subscription, subscriptionItem } from "./objects/subscriptions.ts";
import { emptyBillingDetails } from "./payments/instruments.ts";

/** An object as an event told of it: fields may be missing that Stripe would have. */
export interface ToldObject {
  id: string;
  object: string;
  deleted?: boolean;
}

/** The card that works; what a told card does is not told. */
const WORKING_CARD = "4242424242424242";

/**
 * Takes in objects that somebody else told of, such as a seed's: from now on they are read, charged, renewed and ended
 * here like any other. Nothing is told to anybody. A card whose last payment failed is declined again.
 *
 * @param told in their latest state, each kind before those that refer to it: products, prices, customers, payment
 * methods, subscriptions, invoices, payments, and what is about payments
 */
export function adopt(world: World, told: readonly ToldObject[]): void {
  for (const object of told) {
    if (object.deleted) world.store.delete(object.object as "customer", object.id);
    else makers[object.object]?.(world, object);
  }
  for (const { id, object, deleted } of told) {
    if (deleted) continue;
    if (object === "payment_intent") breakCard(world, id);
    if (object === "subscription") plan(world, id);
    if (object === "invoice") collect(world, id);
  }
  world.store.commit();
}

/** What the card of a failed payment did, it does again; once a later payment went through, it works. */
function breakCard({ store }: World, intentId: string): void {
  const intent = store.get("payment_intent", intentId);
  const error = intent?.last_payment_error;
  const method =
    intent?.customer && store.get("customer", intent.customer)?.invoice_settings.default_payment_method;
  const instrument = method ? store.hidden.instruments.get(method as string) : undefined;
  if (intent === undefined || !error || instrument === undefined) return;
  const later = store.where(
    "payment_intent",
    (it) => it.customer === intent.customer && it.status === "succeeded" && it.created > intent.created,
  );
  if (later.length === 0) instrument.outcome = error.decline_code ?? error.code ?? "generic_decline";
}

/** Renews and ends it by itself from now on. What should have been announced by now has been. */
function plan(world: World, id: string): void {
  const known = world.store.get("subscription", id);
  if (!known) return;
  const now = world.wallSeconds();
  const trialEnd = known.trial_end ?? undefined;
  world.store.hidden.notices.set(id, {
    upcoming: periodEnd(known),
    ...(trialEnd !== undefined && trialEnd - trialNoticeDays * 86_400 <= now ? { trial: trialEnd } : {}),
  });
  scheduleSubscription(world, known);
}

/** Tries to collect an open invoice from now on, with the payment that failed, or a new one. */
function collect(world: World, id: string): void {
  const { store, jobs } = world;
  const bill = store.get("invoice", id);
  if (bill?.status !== "open") return;
  bill.hosted_invoice_url = `${world.publicUrl}/i/${id}/example`;
  bill.invoice_pdf = `${bill.hosted_invoice_url}/pdf`;
  if (openPayment(world, bill) === undefined) {
    const tried = store.where(
      "payment_intent",
      (it) => it.customer === bill.customer && it.amount === bill.amount_due && it.created === bill.created,
    )[0];
    if (tried) {
      tried.payment_method = null;
      store.insert<"invoice_payment">(
        invoicePayment({
          id: partOf("inpay", bill),
          amount_requested: bill.amount_due,
          created: bill.created,
          currency: bill.currency,
          invoice: id,
          payment: { payment_intent: tried.id, type: "payment_intent" },
        }),
      );
    } else preparePayment(world, bill);
  }
  jobs.set("invoice.attempt", id, null, bill.next_payment_attempt);
  jobs.set(
    "invoice.overdue",
    id,
    null,
    bill.due_date !== null && bill.due_date > world.wallSeconds() ? bill.due_date : null,
  );
}

/** An id that ends as the object's own: what belongs to it, and was not told. */
const partOf = (prefix: string, { id }: { id: string }) => `${prefix}_${id.slice(id.indexOf("_") + 1)}`;

const makers: Record<string, (world: World, told: ToldObject) => void> = {
  product: ({ store }, told) => store.insert<"product">(product(told as Product)),
  price: ({ store }, told) => store.insert<"price">(price(told as Price)),
  customer: ({ store }, told) => {
    const { invoice_settings, ...known } = told as Customer;
    const made = customer({ invoice_prefix: told.id.replace(/\W|_/g, "").slice(-8).toUpperCase(), ...known });
    made.invoice_settings = { ...made.invoice_settings, ...invoice_settings };
    store.insert<"customer">(made);
  },
  payment_method: ({ store }, told) => {
    const known = told as PaymentMethod;
    const details = known.card && card({ ...known.card, fingerprint: partOf("fp", told) });
    store.hidden.instruments.set(told.id, { number: WORKING_CARD, setUp: true });
    store.insert<"payment_method">(
      paymentMethod({ ...known, billing_details: structuredClone(emptyBillingDetails), card: details }),
    );
  },
  subscription: ({ store }, told) => {
    const known = told as Subscription;
    const items = known.items.data.map((item) => subscriptionItem({ ...item, price: price(item.price) }));
    store.insert<"subscription">(subscription({ ...known, items }));
  },
  invoice: ({ store }, told) => {
    const known = told as Omit<Invoice, "account_country" | "account_name">;
    const bills = known.parent?.subscription_details?.subscription;
    const item = bills ? store.get("subscription", bills as string)?.items.data[0] : undefined;
    store.insert<"invoice">(
      invoice({
        account_country: "US",
        account_name: "Example",
        ...known,
        effective_at: known.status_transitions?.finalized_at ?? null,
        lines: item
          ? [
              invoiceLine({
                id: partOf("il", told),
                amount: known.total,
                currency: known.currency,
                description: `${item.quantity} × ${item.price.product}`,
                invoice: told.id,
                parent: subscriptionItemParent(bills as string, item.id),
                period: { start: known.period_start, end: known.period_end },
                pricing: pricingOf(item.price),
                quantity: item.quantity ?? 1,
                subtotal: known.total,
              }),
            ]
          : [],
        status_transitions: {
          finalized_at: null,
          marked_uncollectible_at: null,
          paid_at: null,
          voided_at: null,
          ...(known.status_transitions as Partial<Invoice["status_transitions"]>),
        },
      }),
    );
  },
  payment_intent: ({ store }, told) => {
    const known = told as PaymentIntent;
    store.insert<"payment_intent">(paymentIntent({ ...known, client_secret: `${told.id}_secret_example` }));
  },
  charge: ({ store }, told) => {
    store.insert<"charge">(
      charge({
        billing_details: structuredClone(emptyBillingDetails),
        calculated_statement_descriptor: "EXAMPLE",
        ...(told as Omit<Charge, "billing_details" | "calculated_statement_descriptor">),
      }),
    );
  },
  invoice_payment: ({ store }, told) =>
    store.insert<"invoice_payment">(invoicePayment(told as InvoicePayment)),
  refund: ({ store }, told) => store.insert<"refund">(refund(told as Refund)),
  dispute: ({ store }, told) => store.insert<"dispute">(dispute(told as Parameters<typeof dispute>[0])),
};
