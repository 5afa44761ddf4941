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
