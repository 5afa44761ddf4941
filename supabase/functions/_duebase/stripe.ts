import { StripeCallError } from "./errors.ts";
import { retryAfterSeconds } from "./retry-after.ts";

/** The version answers are asked in; the database's readers know it and older ones. */
export const STRIPE_VERSION = "2026-10-28.endive";

/** What Stripe answered, and as of which time. */
export type StripeAnswer = {
  object: Record<string, unknown>;
  /**
   * By Stripe's clock, milliseconds since the epoch: no later than the state that the answer shows. Stripe's `date`
   * header says when it answered, in whole seconds; what it answered with, it may have read at any time since it was
   * asked. An event between the two is newer than what was read; taken for older it would be lost, while an older
   * event applied once more does no harm. So it is the `date` less the whole duration of the call, less a second.
   */
  asOf: number;
};

/** Which mode a key is of, as its prefix tells; undefined where it does not. https://docs.stripe.com/keys */
export function modeOfKey(secretKey: string): "live" | "test" | undefined {
  const [, mode] = /^(?:sk|rk)_(?:org_)?(live|test)_/.exec(secretKey.trim()) ?? [];
  return mode === "live" || mode === "test" ? mode : undefined;
}

/** One call of Stripe's API. */
export type StripeRequest = {
  method: "GET" | "POST" | "DELETE";
  /** With a leading `/v1/`. */
  path: string;
  /** Form fields in Stripe's spelling: `expand[]`, `metadata[duebase_case]`. */
  params?: Record<string, string>;
  idempotencyKey?: string;
  /** Connected account (acct_…) to act for. */
  account?: string;
};

/** Calls Stripe once; rejects with a StripeCallError. */
export type CallStripe = (request: StripeRequest) => Promise<StripeAnswer>;

/** How Stripe is reached. Times are in milliseconds. */
export type StripeSettings = {
  secretKey: string;
  /** https://api.stripe.com unless a local stack stands in for it. */
  baseUrl?: string;
  timeoutMs?: number;
  fetch?: typeof fetch;
  now?: () => number;
};

const STRIPE_URL = "https://api.stripe.com";
/** Stripe's slow calls, such as paying an invoice, take some seconds. */
const TIMEOUT_MS = 20_000;

/**
 * Stripe's API over fetch. Not its SDK, which would retry behind the outbox's back and is larger than everything
 * else a function carries.
 */
export function connectStripe(settings: StripeSettings): CallStripe {
  const {
    secretKey,
    baseUrl = STRIPE_URL,
    timeoutMs = TIMEOUT_MS,
    fetch: send = fetch,
    now = Date.now,
  } = settings;
  return async ({ method, path, params = {}, idempotencyKey, account }) => {
    const form = new URLSearchParams(params).toString();
    const query = method === "GET" && form !== "" ? `?${form}` : "";
    let response: Response;
    let text: string;
    const startedAt = performance.now();
    try {
      response = await send(`${baseUrl}${path}${query}`, {
        method,
        headers: {
          authorization: `Bearer ${secretKey}`,
          "stripe-version": STRIPE_VERSION,
          ...(method === "GET" ? {} : { "content-type": "application/x-www-form-urlencoded" }),
          ...(idempotencyKey ? { "idempotency-key": idempotencyKey } : {}),
          ...(account ? { "stripe-account": account } : {}),
        },
        body: method === "GET" ? undefined : form,
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const reason = error instanceof Error ? error.name : "network failure";
      throw new StripeCallError({ code: "no_answer", message: `Stripe did not answer: ${reason}.` });
    }
    return readAnswer(response, text, now(), performance.now() - startedAt);
  };
}

/** The second that the `date` header leaves out. */
const DATE_PRECISION_MS = 1000;

function readAnswer(response: Response, text: string, nowMs: number, durationMs: number): StripeAnswer {
  const { status, headers } = response;
  const date = Date.parse(headers.get("date") ?? "");
  const asOf = (Number.isNaN(date) ? nowMs : date) - Math.ceil(durationMs) - DATE_PRECISION_MS;
  const body = parse(text);
  if (!response.ok) {
    const { code, type, message } = (body?.error ?? {}) as Record<string, unknown>;
    throw new StripeCallError({
      code: textOf(code) ?? textOf(type) ?? `http_${status}`,
      // Stripe's messages may quote what was sent: ids and amounts, never keys or card numbers.
      message: (textOf(message) ?? `Stripe answered ${status}.`).slice(0, 500),
      status,
      retryAfterSeconds: retryAfterSeconds(headers, nowMs),
      asOf,
    });
  }
  if (body === undefined) {
    throw new StripeCallError({ code: "unreadable_answer", message: "Stripe's answer is not JSON." });
  }
  return { object: body, asOf };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
