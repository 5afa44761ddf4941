import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { day, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

function submit(url: string, fields: Record<string, string>): Promise<Response> {
  return fetch(url, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
}

async function checkout(): Promise<Stripe.Checkout.Session> {
  const price = await harness.monthlyPrice();
  return stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done?session={CHECKOUT_SESSION_ID}",
  });
}

test("a person pays on the checkout page and is sent back with the session's id", async () => {
  const session = await checkout();
  const shown = await fetch(String(session.url));
  expect(await shown.text()).toContain("$20.00");
  const declined = await submit(String(session.url), { payment_method: "pm_card_chargeCustomerFail" });
  expect(declined.status).toBe(402);
  expect(await declined.text()).toContain("Your card was declined.");
  const paid = await submit(String(session.url), {
    payment_method: "pm_card_visa",
    email: "ada@example.com",
  });
  expect(paid.status).toBe(303);
  expect(paid.headers.get("location")).toBe(`https://app.example/done?session=${session.id}`);
  expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ payment_status: "paid" });
  expect((await fetch(String(session.url))).status).toBe(404);
});

test("an open invoice is paid on its page, which has a PDF, and no other secret opens it", async () => {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const failing = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: customer.id });
  await stripe.subscriptions.update(id, { default_payment_method: failing.id });
  await harness.advance(clock, start + 32 * day);
  const invoice = (await stripe.invoices.list({ subscription: id })).data[0];
  const url = String(invoice?.hosted_invoice_url);
  expect(await (await fetch(url)).text()).toContain(String(invoice?.number));
  expect((await fetch(`${url}x`)).status).toBe(404);
  const pdf = await fetch(String(invoice?.invoice_pdf));
  expect(pdf.headers.get("content-type")).toBe("application/pdf");
  expect((await pdf.text()).startsWith("%PDF-")).toBe(true);
  expect((await submit(url, { payment_method: "pm_card_visa" })).status).toBe(200);
  expect(await stripe.invoices.retrieve(invoice?.id ?? "")).toMatchObject({ status: "paid" });
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "active" });
});

test("the portal cancels, takes it back, changes the card, and its link dies within minutes", async () => {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const { url } = await stripe.billingPortal.sessions.create({ customer: customer.id });
  expect(await (await fetch(url)).text()).toContain("Renews on");
  await submit(url, { action: "leave", subscription: id });
  expect((await stripe.subscriptions.retrieve(id)).cancel_at).not.toBeNull();
  expect(await (await fetch(url)).text()).toContain("Ends on");
  await submit(url, { action: "stay", subscription: id });
  expect((await stripe.subscriptions.retrieve(id)).cancel_at).toBeNull();
  await submit(url, { action: "card", payment_method: "pm_card_mastercard" });
  const changed = await stripe.customers.retrieve(customer.id, {
    expand: ["invoice_settings.default_payment_method"],
  });
  expect(changed).toMatchObject({
    invoice_settings: { default_payment_method: { card: { brand: "mastercard" } } },
  });
  await harness.advance(clock, start + 600);
  expect((await fetch(url)).status).toBe(404);
});

test("a deep link shows one task, does it, and leads back", async () => {
  const [monthly, dearer] = [await harness.monthlyPrice(), await harness.monthlyPrice()];
  const { customer } = await harness.customerOnClock();
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: monthly.id }] });
  const open = (
    type: "payment_method_update" | "subscription_cancel" | "subscription_update",
    subscription = id,
    configuration?: string,
  ) =>
    stripe.billingPortal.sessions.create({
      customer: customer.id,
      configuration,
      flow_data: {
        type,
        after_completion: { type: "redirect", redirect: { return_url: "https://app.example/billing" } },
        ...(type !== "payment_method_update" && { [type]: { subscription } }),
      },
    });
  const backHome = (response: Response) => [response.status, response.headers.get("location")];
  const home = [303, "https://app.example/billing"];

  const card = await open("payment_method_update");
  expect(await (await fetch(card.url)).text()).not.toContain("Renews on");
  expect(backHome(await submit(card.url, { action: "card", payment_method: "pm_card_mastercard" }))).toEqual(
    home,
  );

  // Nothing may be changed to before the account says what.
  await expect(open("subscription_update")).rejects.toThrow("portal configuration is disabled");
  const configuration = await stripe.billingPortal.configurations.create({
    features: {
      subscription_update: {
        enabled: true,
        default_allowed_updates: ["price"],
        proration_behavior: "always_invoice",
        products: [{ product: String(dearer.product), prices: [dearer.id] }],
      },
    },
  });
  const change = await open("subscription_update", id, configuration.id);
  expect(await (await fetch(change.url)).text()).toMatch(/Due now|Credited/);
  // What is not offered is not taken.
  await submit(change.url, { action: "change", subscription: id, price: monthly.id });
  expect((await stripe.subscriptions.retrieve(id)).items.data[0]?.price.id).toBe(monthly.id);
  expect(
    backHome(await submit(change.url, { action: "change", subscription: id, price: dearer.id })),
  ).toEqual(home);
  expect((await stripe.subscriptions.retrieve(id)).items.data[0]?.price.id).toBe(dearer.id);

  const leave = await open("subscription_cancel");
  expect(backHome(await submit(leave.url, { action: "leave", subscription: id }))).toEqual(home);
  expect((await stripe.subscriptions.retrieve(id)).cancel_at).not.toBeNull();

  const other = await harness.customerOnClock();
  const theirs = await stripe.subscriptions.create({
    customer: other.customer.id,
    items: [{ price: monthly.id }],
  });
  await expect(open("subscription_cancel", theirs.id)).rejects.toMatchObject({ code: "resource_missing" });
});

test("3-D Secure has a page that leads back", async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 1000,
    currency: "usd",
    payment_method: "pm_card_authenticationRequired",
    confirm: true,
    return_url: "https://app.example/back",
  });
  const url = String(intent.next_action?.redirect_to_url?.url);
  expect(await (await fetch(url)).text()).toContain("$10.00");
  expect((await submit(url, { outcome: "succeed" })).headers.get("location")).toBe(
    "https://app.example/back",
  );
  expect(await stripe.paymentIntents.retrieve(intent.id)).toMatchObject({ status: "succeeded" });
});

test("the address itself shows what happened last and which checkouts wait", async () => {
  const session = await checkout();
  const text = await (await fetch(harness.local.url)).text();
  expect(text).toContain("price.created");
  expect(text).toContain(String(session.url));
});

test("what customers call themselves is not markup", async () => {
  const product = await stripe.products.create({ name: "<script>alert(1)</script>" });
  const price = await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 100 });
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done",
  });
  const text = await (await fetch(String(session.url))).text();
  expect(text).not.toContain("<script>alert(1)");
  expect(text).toContain("&lt;script&gt;");
});
