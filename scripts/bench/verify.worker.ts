/**
 * One process of the verification bench, run by Deno: reads lines `<subject> <milliseconds>` and answers each
 * with a line `{"events","seconds"}`, so that its parent can run several at once and alternate subjects.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import Stripe from "stripe";
import { createLogger } from "../../supabase/functions/_duebase/log.ts";
import { createSignatureVerifier } from "../../supabase/functions/_duebase/stripe-signature.ts";
import { handleStripeWebhook } from "../../supabase/functions/duebase-stripe-webhook/handler.ts";

/** Requests under way at a time: enough that the crypto threads never wait for the event loop. */
const CONCURRENCY = 16;
const SECRET = "whsec_example_bench";

const stripe = new Stripe("sk_test_example");
const cryptoProvider = Stripe.createSubtleCryptoProvider();
const payload = JSON.stringify(exampleEvent());
const body = new TextEncoder().encode(payload);
const header = await stripe.webhooks.generateTestHeaderStringAsync({
  payload,
  secret: SECRET,
  cryptoProvider,
});

const dependencies = {
  verifySignature: createSignatureVerifier([SECRET]),
  storeEvent: async () => "processed",
  log: createLogger("duebase-stripe-webhook", () => {}),
  tellAlarms: () => {},
  now: Date.now,
};

/** The function's own share: everything but the network and the database, a `Request` in and a `Response` out. */
async function handleOne(): Promise<void> {
  const request = new Request("http://127.0.0.1/duebase-stripe-webhook", {
    method: "POST",
    headers: { "stripe-signature": header, "content-length": String(body.byteLength) },
    body,
  });
  const response = await handleStripeWebhook(request, dependencies);
  if (response.status !== 200) throw new Error(`The handler answered ${response.status}.`);
}

/** The SDK's verification of a body that is already a string in memory: no request, no bound, no answer. */
async function verifyOneWithSdk(): Promise<void> {
  await stripe.webhooks.constructEventAsync(payload, header, SECRET, 300, cryptoProvider);
}

/** An invoice event of the size Stripe sends: about 4 KB, most of it in line items. */
function exampleEvent() {
  const line = (index: number) => ({
    id: `il_example_${index}`,
    object: "line_item",
    amount: 1999,
    currency: "usd",
    description: "1 × Example plan (at $19.99 / month)",
    discountable: true,
    discounts: [],
    metadata: { seat: String(index) },
    parent: {
      type: "subscription_item_details",
      subscription_item_details: { subscription: "sub_example", subscription_item: `si_example_${index}` },
    },
    period: { start: 1760000000, end: 1762592000 },
    pricing: { type: "price_details", price_details: { price: "price_example", product: "prod_example" } },
    quantity: 1,
    taxes: [],
  });
  return {
    id: "evt_example",
    object: "event",
    api_version: "2026-10-28.endive",
    created: 1760000000,
    data: {
      object: {
        id: "in_example",
        object: "invoice",
        customer: "cus_example",
        customer_email: "someone@example.com",
        currency: "usd",
        amount_due: 9995,
        amount_paid: 9995,
        status: "paid",
        lines: { object: "list", data: [0, 1, 2, 3, 4, 5, 6].map(line), has_more: false },
      },
    },
    livemode: false,
    pending_webhooks: 1,
    request: { id: "req_example", idempotency_key: null },
    type: "invoice.paid",
  };
}

async function runFor(milliseconds: number, step: () => Promise<void>): Promise<string> {
  let events = 0;
  const startedAt = performance.now();
  const lane = async () => {
    while (performance.now() - startedAt < milliseconds) {
      await step();
      events++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  return JSON.stringify({ events, seconds: (performance.now() - startedAt) / 1000 });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [subject, milliseconds] = line.split(" ");
  const step = subject === "sdk" ? verifyOneWithSdk : handleOne;
  process.stdout.write(`${await runFor(Number(milliseconds), step)}\n`);
}
