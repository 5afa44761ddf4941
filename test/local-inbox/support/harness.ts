import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Resend, type WebhookEventPayload } from "resend";
import { onTestFinished } from "vitest";
import { type Inbox, type InboxOptions, startInbox } from "../../../scripts/local/inbox/server.ts";
import { apiKey, clientOf } from "./client.ts";

export { clientOf, dataOf, mail } from "./client.ts";

export const webhookSecret = `whsec_${Buffer.from("duebase local inbox example").toString("base64")}`;
export const hour = 3_600_000;

/** A clock that only a test moves. */
export interface Clock {
  now: () => Date;
  advance(milliseconds: number): void;
}

export function clockAt(iso = "2026-03-01T09:00:00.000Z"): Clock {
  let at = Date.parse(iso);
  return {
    now: () => new Date(at),
    advance: (milliseconds) => {
      at += milliseconds;
    },
  };
}

/** An inbox without a page or a limit, and a client of it; closed when the test is over. */
export async function startHarness(
  options: Partial<InboxOptions> = {},
): Promise<{ inbox: Inbox; resend: Resend }> {
  const inbox = await startInbox({
    port: 0,
    apiKey,
    webhookSecret,
    mailbox: false,
    ratePerSecond: Number.POSITIVE_INFINITY,
    ...options,
  });
  onTestFinished(() => inbox.close());
  return { inbox, resend: clientOf(inbox) };
}

/** POST to the API without the SDK, which would never write such a thing. */
export function post(inbox: Inbox, path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(`${inbox.apiUrl}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** One delivery that an endpoint got and the SDK verified. */
export interface Received {
  id: string;
  signature: string;
  event: WebhookEventPayload;
}

export interface Endpoint {
  url: string;
  received: Received[];
  /** Verification failures. */
  refused: string[];
  types(): string[];
  /** The status for an event the n-th time that it comes. */
  answer: (event: WebhookEventPayload, attempt: number) => number | Promise<number>;
}

/** An endpoint that verifies what it gets with the real SDK; closed when the test is over. */
export async function startEndpoint(): Promise<Endpoint> {
  const resend = new Resend(apiKey);
  const receive = async (request: IncomingMessage): Promise<number> => {
    const header = (name: string): string => String(request.headers[name]);
    const id = header("svix-id");
    const signature = header("svix-signature");
    const payload = await text(request);
    try {
      const event = resend.webhooks.verify({
        payload,
        headers: { id, timestamp: header("svix-timestamp"), signature },
        webhookSecret,
      });
      endpoint.received.push({ id, signature, event });
      return await endpoint.answer(event, endpoint.received.filter((it) => it.id === id).length);
    } catch (error) {
      endpoint.refused.push(String(error));
      return 400;
    }
  };
  const server = createServer((request, response) => {
    void receive(request).then((status) => response.writeHead(status, { location: endpoint.url }).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    refused: [],
    types: () => endpoint.received.map(({ event }) => event.type),
    answer: () => 200,
  };
  return endpoint;
}
