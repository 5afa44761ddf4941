import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientOf, errorOf, type Harness, secretKey, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

function raw(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${harness.local.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${secretKey}`, ...init.headers },
  });
}

describe("who may call", () => {
  test("a call without a key is refused with 401 and the words of Stripe", async () => {
    const response = await fetch(`${harness.local.url}/v1/customers`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });

  test("a live key is refused", async () => {
    const stripe = clientOf(harness.local);
    const error = await errorOf(stripe.customers.list({}, { apiKey: "sk_live_example_0000000000000000" }));
    expect(error).toMatchObject({ statusCode: 401, type: "StripeAuthenticationError" });
    expect(error.message).not.toContain("sk_live_example_0000000000000000");
  });

  test("a key as Basic user name is accepted, as curl sends it", async () => {
    const credentials = Buffer.from(`${secretKey}:`).toString("base64");
    const response = await raw("/v1/account", { headers: { authorization: `Basic ${credentials}` } });
    expect(response.status).toBe(200);
  });
});

describe("errors", () => {
  test("an unknown path is a 404 in Stripe's shape", async () => {
    const response = await raw("/v1/nonsense");
    expect(response.status).toBe(404);
    const { error } = (await response.json()) as { error: Record<string, string> };
    expect(error.type).toBe("invalid_request_error");
    expect(error.message).toContain("Unrecognized request URL (GET: /v1/nonsense)");
    expect(response.headers.get("request-id")).toMatch(/^req_/);
  });

  test("an id in the path that names nothing is resource_missing with 404", async () => {
    const error = await errorOf(harness.stripe.customers.retrieve("cus_nobody"));
    expect(error).toMatchObject({ statusCode: 404, code: "resource_missing", param: "id" });
    expect(error.message).toBe("No such customer: 'cus_nobody'");
    expect(error.requestId).toMatch(/^req_/);
    expect(error.doc_url).toContain("resource-missing");
  });

  test("an id in a parameter that names nothing is resource_missing with 400 and the parameter", async () => {
    const error = await errorOf(harness.stripe.subscriptions.create({ customer: "cus_nobody", items: [] }));
    expect(error).toMatchObject({ statusCode: 400, code: "resource_missing", param: "customer" });
  });

  test("a required parameter that is absent is named", async () => {
    const response = await raw("/v1/products", { method: "POST", body: "" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "parameter_missing", param: "name" } });
  });

  test("a number that is none is refused with its nested name", async () => {
    const response = await raw("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "customer=cus_x&limit=ten",
    });
    expect(response.status).toBe(400);
    const listing = await raw("/v1/customers?limit=ten");
    expect(await listing.json()).toMatchObject({
      error: { code: "parameter_invalid_integer", param: "limit" },
    });
  });
});

describe("a refused call", () => {
  test("changes nothing, not even what was right in it", async () => {
    const { stripe } = harness;
    const customer = await stripe.customers.create({ name: "Before" });
    const wrong = { name: "After", invoice_settings: { default_payment_method: "pm_none" } };
    expect(await errorOf(stripe.customers.update(customer.id, wrong))).toMatchObject({ statusCode: 400 });
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ name: "Before" });
  });

  test("leaves no objects and no events, and the next call is heard again", async () => {
    const { stripe, local } = harness;
    const price = await harness.monthlyPrice();
    const { clock, customer } = await harness.customerOnClock();
    await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await harness.advance(clock, clock.frozen_time + 40 * 86_400);
    const before = local.events.all().length;
    const discounts = [{ coupon: "no-such-coupon" }];
    const items = [{ price: price.id }];
    const refused = stripe.subscriptions.create({ customer: customer.id, items, discounts });
    expect(await errorOf(refused)).toMatchObject({ code: "resource_missing" });
    expect(local.events.all().length).toBe(before);
    expect((await stripe.subscriptions.list({ customer: customer.id })).data).toHaveLength(1);
    expect((await stripe.invoices.list({ customer: customer.id })).data).toHaveLength(2);
    await stripe.customers.update(customer.id, { name: "Heard" });
    expect(local.events.all().length).toBe(before + 1);
  });

  test("of a payment keeps the attempt and its events", async () => {
    const { stripe, local } = harness;
    const price = await harness.monthlyPrice();
    const { customer } = await harness.customerOnClock("pm_card_chargeCustomerFail");
    const before = local.events.all().length;
    await errorOf(
      stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: price.id }],
        payment_behavior: "error_if_incomplete",
      }),
    );
    expect(harness.happened().slice(before)).toEqual([
      "payment_intent.created",
      "charge.failed",
      "payment_intent.payment_failed",
    ]);
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ delinquent: false });
  });
});

describe("forms", () => {
  test("brackets make hashes and lists, however they are numbered", async () => {
    const response = await raw("/v1/products", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "name=T&images[]=https://a.example/1&images[]=https://a.example/2&metadata[a%5Bb%5D]=x&metadata[plain]=y",
    });
    const product = (await response.json()) as { images: string[]; metadata: Record<string, string> };
    expect(product.images).toEqual(["https://a.example/1", "https://a.example/2"]);
    expect(product.metadata.plain).toBe("y");
  });

  test("metadata merges: a key given empty goes, the others stay, and an empty hash clears all", async () => {
    const { stripe } = harness;
    const customer = await stripe.customers.create({ metadata: { a: "1", b: "2" } });
    const merged = await stripe.customers.update(customer.id, { metadata: { b: "", c: "3" } });
    expect(merged.metadata).toEqual({ a: "1", c: "3" });
    expect((await stripe.customers.update(customer.id, { metadata: "" })).metadata).toEqual({});
  });
});

describe("lists", () => {
  test("pages run newest first and back again, and has_more is honest", async () => {
    const { stripe } = harness;
    const made: string[] = [];
    for (let n = 0; n < 7; n += 1) made.push((await stripe.coupons.create({ percent_off: 10 + n })).id);
    const newest = [...made].reverse();
    const first = await stripe.coupons.list({ limit: 3 });
    expect(first).toMatchObject({ object: "list", url: "/v1/coupons", has_more: true });
    expect(first.data.map((it) => it.id)).toEqual(newest.slice(0, 3));
    const last = await stripe.coupons.list({ limit: 4, starting_after: newest[2] });
    expect(last.data.map((it) => it.id)).toEqual(newest.slice(3));
    expect(last.has_more).toBe(false);
    const back = await stripe.coupons.list({ limit: 2, ending_before: newest[3] });
    expect(back.data.map((it) => it.id)).toEqual(newest.slice(1, 3));
    expect(back.has_more).toBe(true);
  });

  test("the SDK's own pagination walks every object once", async () => {
    const { stripe } = harness;
    const seen: string[] = [];
    for await (const coupon of stripe.coupons.list({ limit: 2 })) seen.push(coupon.id);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe((await stripe.coupons.list({ limit: 100 })).data.length);
  });

  test("a limit out of range and a cursor that names nothing are refused", async () => {
    const { stripe } = harness;
    expect(await errorOf(stripe.coupons.list({ limit: 101 }))).toMatchObject({
      param: "limit",
      statusCode: 400,
    });
    expect(await errorOf(stripe.coupons.list({ starting_after: "nope" }))).toMatchObject({ statusCode: 400 });
  });
});

describe("expand", () => {
  test("references become objects, through lists and fields of fields", async () => {
    const { stripe } = harness;
    const price = await harness.monthlyPrice();
    const customer = await stripe.customers.create({
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    });
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      expand: ["customer", "latest_invoice.payments.data.payment.payment_intent"],
    });
    expect(subscription.customer).toMatchObject({ object: "customer", id: customer.id });
    const invoice = subscription.latest_invoice;
    if (typeof invoice !== "object" || !invoice) throw new Error("latest_invoice was not expanded");
    expect(invoice.payments?.data[0]?.payment.payment_intent).toMatchObject({
      status: "succeeded",
      amount: 2000,
    });
    const listed = await stripe.invoices.list({ customer: customer.id, expand: ["data.customer"] });
    expect(listed.data[0]?.customer).toMatchObject({ id: customer.id });
    const plain = await stripe.invoices.retrieve(invoice.id);
    expect(plain.payments).toBeUndefined();
    expect(plain.customer).toBe(customer.id);
  });

  test("what cannot be expanded says so", async () => {
    const { stripe } = harness;
    const customer = await stripe.customers.create({});
    const error = await errorOf(stripe.customers.retrieve(customer.id, { expand: ["nonsense"] }));
    expect(error.message).toBe("This property cannot be expanded (nonsense).");
  });
});

describe("idempotency keys", () => {
  test("the same key and parameters give the same answer and do the work once", async () => {
    const { stripe, local } = harness;
    const before = local.events.all().length;
    const options = { idempotencyKey: "key-same" };
    const first = await stripe.customers.create({ name: "Once" }, options);
    const second = await stripe.customers.create({ name: "Once" }, options);
    expect(second.id).toBe(first.id);
    expect(second.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect(first.lastResponse.headers["idempotent-replayed"]).toBeUndefined();
    expect(local.events.all().length).toBe(before + 1);
    expect(local.ledger.requestsWhere({ idempotencyKey: "key-same", replayed: true })).toHaveLength(1);
  });

  test("the same key with other parameters is a 400 idempotency_error", async () => {
    const { stripe } = harness;
    const options = { idempotencyKey: "key-other" };
    await stripe.customers.create({ name: "One" }, options);
    const error = await errorOf(stripe.customers.create({ name: "Two" }, options));
    expect(error).toMatchObject({ statusCode: 400, type: "StripeIdempotencyError" });
  });

  test("the same key while the first is under way is a 409", async () => {
    const { stripe, local } = harness;
    local.faults.add({
      match: { method: "POST", path: "/v1/customers" },
      action: { kind: "delay", milliseconds: 150 },
    });
    const options = { idempotencyKey: "key-busy" };
    const slow = stripe.customers.create({ name: "Slow" }, options);
    await expect.poll(() => local.faults.pending).toBe(0);
    const error = await errorOf(stripe.customers.create({ name: "Slow" }, options));
    expect(error).toMatchObject({ statusCode: 409, code: "idempotency_key_in_use" });
    expect((await slow).name).toBe("Slow");
    expect((await stripe.customers.create({ name: "Slow" }, options)).id).toBe((await slow).id);
  });

  test("a decline is kept under its key; a refusal of the parameters is not", async () => {
    const { stripe, local } = harness;
    const options = { idempotencyKey: "key-decline" };
    const charge = { amount: 500, currency: "usd", confirm: true, payment_method: "pm_card_chargeDeclined" };
    const before = local.ledger.count({ kind: "charge.failed" });
    await errorOf(stripe.paymentIntents.create(charge, options));
    await errorOf(stripe.paymentIntents.create(charge, options));
    expect(local.ledger.count({ kind: "charge.failed" })).toBe(before + 1);
    const missing = { idempotencyKey: "key-missing" };
    await errorOf(stripe.customers.update("cus_later", { name: "x" }, missing));
    expect(local.ledger.requestsWhere({ idempotencyKey: "key-missing", replayed: true })).toHaveLength(0);
  });
});
