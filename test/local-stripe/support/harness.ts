import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import {
  type LocalStripe,
  type LocalStripeOptions,
  startLocalStripe,
} from "../../../scripts/local/stripe/server.ts";

export const secretKey = "sk_test_example_local_stripe_0001";
export const webhookSecret = "whsec_example_local_stripe";

export const day = 86_400;
/** Where test clocks start: a day that every month has. */
export const start = Date.UTC(2026, 0, 15, 9) / 1000;

/** What an endpoint got, verified by the SDK. */
export interface Received {
  event: Stripe.Event;
  signature: string;
}

/** An endpoint that verifies and keeps what it gets; `answer` decides the status code. */
export interface Endpoint {
  url: string;
  received: Received[];
  /** What signatures are verified with. */
  secret: string;
  answer: (event: Stripe.Event, attempt: number) => number | Promise<number>;
  types(): string[];
  close(): Promise<void>;
}

function read(request: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => resolve(Buffer.concat(parts).toString()));
  });
}

export async function startEndpoint(): Promise<Endpoint> {
  const received: Received[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await read(request);
    const signature = String(request.headers["stripe-signature"]);
    const event = Stripe.webhooks.constructEvent(body, signature, endpoint.secret);
    received.push({ event, signature });
    const attempt = received.filter((it) => it.event.id === event.id).length;
    response.writeHead(await endpoint.answer(event, attempt)).end();
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.writeHead(400).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    secret: webhookSecret,
    answer: () => 200,
    types: () => received.map((it) => it.event.type),
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return endpoint;
}

export interface Harness {
  local: LocalStripe;
  stripe: Stripe;
  endpoint: Endpoint;
  /** A monthly price of a new product, in cents. */
  monthlyPrice(amount?: number): Promise<Stripe.Price>;
  /** A customer under a new clock that stands at `start`, with a card that works unless said otherwise. */
  customerOnClock(
    card?: string | null,
  ): Promise<{ clock: Stripe.TestHelpers.TestClock; customer: Stripe.Customer }>;
  /** Move a clock and wait until everything it set off has happened and arrived. */
  advance(clock: { id: string }, to: number): Promise<void>;
  /** Types of all events so far, in the order they happened. */
  happened(): string[];
  close(): Promise<void>;
}

/** A client of a local Stripe. */
export function clientOf(local: { port: number }, options: Stripe.StripeConfig = {}): Stripe {
  return new Stripe(secretKey, {
    host: "127.0.0.1",
    port: local.port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
    ...options,
  });
}

/** A local Stripe, a client of it, and an endpoint it delivers to. */
export async function startHarness(options: Partial<LocalStripeOptions> = {}): Promise<Harness> {
  const endpoint = await startEndpoint();
  const local = await startLocalStripe({
    port: 0,
    webhooks: [{ url: endpoint.url, secret: webhookSecret }],
    delivery: { retryMilliseconds: [10, 10, 10] },
    ...options,
  });
  const stripe = clientOf(local);
  return {
    local,
    stripe,
    endpoint,
    async monthlyPrice(amount = 2000) {
      const product = await stripe.products.create({ name: "Pro" });
      return stripe.prices.create({
        product: product.id,
        currency: "usd",
        unit_amount: amount,
        recurring: { interval: "month" },
      });
    },
    async customerOnClock(card = "pm_card_visa") {
      const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
      const customer = await stripe.customers.create({
        email: "ada@example.com",
        test_clock: clock.id,
        ...(card ? { payment_method: card, invoice_settings: { default_payment_method: card } } : {}),
      });
      return { clock, customer };
    },
    async advance(clock, to) {
      await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to });
      await local.settled();
    },
    happened: () => local.events.all().map((event) => event.type),
    async close() {
      await local.close();
      await endpoint.close();
    },
  };
}

/** The error a call ends with. */
export async function errorOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}
