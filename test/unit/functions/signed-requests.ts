import Stripe from "stripe";

export const SECRET = "whsec_example_current";
export const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);
export const NOW_SECONDS = NOW_MS / 1000;

const stripe = new Stripe("sk_test_example");

/** Stripe's own test signer is the reference for what a genuine signature is. */
export function signatureOf(payload: string, options: { secret?: string; timestamp?: number } = {}): string {
  const { secret = SECRET, timestamp = NOW_SECONDS } = options;
  return stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
}

/** Whether the SDK takes the signature for genuine, at `NOW_MS`; what it makes of the body is not asked. */
export async function sdkAccepts(payload: string, header: string, secret = SECRET): Promise<boolean> {
  try {
    const provider = Stripe.createSubtleCryptoProvider();
    await stripe.webhooks.constructEventAsync(payload, header, secret, 300, provider, NOW_MS);
    return true;
  } catch (error) {
    return !(error instanceof Stripe.errors.StripeSignatureVerificationError);
  }
}

export function exampleEvent(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: "evt_example_1",
    object: "event",
    api_version: "2026-10-28.endive",
    created: NOW_SECONDS,
    livemode: false,
    type: "invoice.paid",
    data: { object: { id: "in_example", object: "invoice", customer: "cus_example", amount_paid: 1999 } },
    ...overrides,
  };
}

/** A delivery as Stripe makes it; `header` replaces the genuine signature, null leaves it out. */
export function delivery(
  payload: string | Uint8Array<ArrayBuffer>,
  options: { header?: string | null; method?: string } = {},
): Request {
  const { method = "POST" } = options;
  const header = options.header === undefined ? signatureOf(asText(payload)) : options.header;
  return new Request("http://127.0.0.1/functions/v1/duebase-stripe-webhook", {
    method,
    headers: {
      "content-type": "application/json",
      ...(header === null ? {} : { "stripe-signature": header }),
    },
    body: method === "GET" || method === "HEAD" ? undefined : payload,
  });
}

function asText(payload: string | Uint8Array): string {
  return typeof payload === "string" ? payload : new TextDecoder().decode(payload);
}
