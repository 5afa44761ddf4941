import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { day, type Harness, start, startHarness } from "./support/harness.ts";

/** Stripe's own sample objects; they lie beside the repository where it is developed, and are not part of it. */
const samplesFile = join(import.meta.dirname, "../../../shared/stripe/objects-latest.json");

/** Sample fields that the SDK's types of the pinned version no longer have. */
const goneSince: Record<string, string[]> = {
  invoice: ["subscription"],
  charge: ["refunds"],
};

type Fields = Record<string, unknown>;

let harness: Harness;
const ours = new Map<string, Fields>();

function keep(object: object): void {
  const fields = JSON.parse(JSON.stringify(object)) as Fields;
  ours.set(String(fields.object), fields);
}

/** Make one of everything. */
async function play(stripe: Stripe): Promise<void> {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  const coupon = await stripe.coupons.create({ percent_off: 10, duration: "forever" });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    discounts: [{ coupon: coupon.id }],
    expand: ["latest_invoice.payments.data.payment.payment_intent.latest_charge"],
  });
  await harness.advance(clock, start + day);
  keep(await stripe.customers.retrieve(customer.id));
  keep(await stripe.products.retrieve(String(price.product)));
  keep(price);
  keep(coupon);
  keep(await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id } }));
  keep(await stripe.subscriptions.retrieve(subscription.id));
  keep(subscription.items.data[0] ?? {});
  const invoice = await stripe.invoices.retrieve(
    typeof subscription.latest_invoice === "string"
      ? subscription.latest_invoice
      : (subscription.latest_invoice?.id ?? ""),
  );
  keep(invoice);
  keep(invoice.lines.data[0] ?? {});
  const payment = (await stripe.invoicePayments.list({ invoice: invoice.id })).data[0];
  keep(payment ?? {});
  const intent = await stripe.paymentIntents.retrieve(String(payment?.payment.payment_intent));
  keep(intent);
  keep(await stripe.charges.retrieve(String(intent.latest_charge)));
  keep(await stripe.refunds.create({ payment_intent: intent.id, amount: 100 }));
  keep(await stripe.invoiceItems.create({ customer: customer.id, amount: 100, currency: "usd" }));
  keep((await stripe.customers.listPaymentMethods(customer.id)).data[0] ?? {});
  keep(await stripe.setupIntents.create({ customer: customer.id }));
  keep(await stripe.taxRates.create({ display_name: "VAT", percentage: 20, inclusive: false }));
  keep(
    await stripe.checkout.sessions.create({
      mode: "subscription",
      line_items: [{ price: price.id, quantity: 1 }],
      success_url: "https://app.example/done",
    }),
  );
  keep(await stripe.billingPortal.sessions.create({ customer: customer.id }));
  keep(await stripe.testHelpers.testClocks.retrieve(clock.id));
  keep(await stripe.webhookEndpoints.list().then((list) => list.data[0] ?? {}));
  const disputed = await stripe.paymentIntents.create({
    amount: 900,
    currency: "usd",
    payment_method: "pm_card_createDispute",
    confirm: true,
  });
  keep((await stripe.disputes.list({ payment_intent: disputed.id })).data[0] ?? {});
  keep(await stripe.entitlements.features.create({ name: "F", lookup_key: "f" }));
  keep((await stripe.events.list({ limit: 1 })).data[0] ?? {});
}

const samples = existsSync(samplesFile)
  ? (JSON.parse(readFileSync(samplesFile, "utf8")) as Record<string, Fields>)
  : null;

describe.skipIf(samples === null)(
  "beside Stripe's own sample objects (skipped where they are not at hand)",
  () => {
    beforeAll(async () => {
      harness = await startHarness();
      await play(harness.stripe);
    });
    afterAll(() => harness.close());

    test.each([
      "billing_portal.session",
      "charge",
      "checkout.session",
      "coupon",
      "customer",
      "dispute",
      "entitlements.feature",
      "event",
      "invoice",
      "invoice_payment",
      "invoiceitem",
      "line_item",
      "payment_intent",
      "payment_method",
      "price",
      "product",
      "promotion_code",
      "refund",
      "setup_intent",
      "subscription",
      "subscription_item",
      "tax_rate",
      "test_helpers.test_clock",
      "webhook_endpoint",
    ])("%s has every field of Stripe's", (name) => {
      const sample = samples?.[name] ?? {};
      const fields = ours.get(name) ?? {};
      const gone = goneSince[name] ?? [];
      const missing = Object.keys(sample).filter((field) => !(field in fields) && !gone.includes(field));
      expect(missing).toEqual([]);
    });
  },
);
