import { randomUUID } from "node:crypto";
import { z } from "zod";
import { modeOfKey, STRIPE_VERSION } from "../../../supabase/functions/_duebase/stripe.ts";
import { Refusal } from "../terminal.ts";
import {
  type ApiAnswer,
  type ApiRequest,
  type ApiSettings,
  callApi,
  isFine,
  named,
  shaped,
  unexpectedAnswer,
  withoutSecrets,
} from "./http.ts";

// Stripe's API, as far as setting up and checking a project needs it. What the functions ask is in _duebase/stripe.ts.

/** Stripe refused a call. */
export class StripeRefusal extends Refusal {
  override readonly name = "StripeRefusal";
  /** HTTP status. */
  readonly status: number;
  /** What a restricted key lacks, as Stripe names it (`rak_webhook_write`); null where it is something else. */
  readonly permission: string | null;

  constructor(status: number, message: string, cure: string, permission: string | null = null) {
    super(message, cure);
    this.status = status;
    this.permission = permission;
  }
}

const endpointShape = z.looseObject({
  id: z.string(),
  url: z.string(),
  status: z.string(),
  enabled_events: z.array(z.string()),
  api_version: z.string().nullish(),
  livemode: z.boolean(),
  metadata: z.record(z.string(), z.string()).default({}),
  /** Only in the answer to its creation. */
  secret: z.string().optional(),
});

const destinationShape = z.looseObject({
  id: z.string(),
  status: z.string(),
  event_payload: z.string(),
  enabled_events: z.array(z.string()),
  webhook_endpoint: z.looseObject({ url: z.string().nullish() }).nullish(),
});

const accountShape = z.looseObject({ id: z.string() });
const endpointsShape = z.looseObject({ data: z.array(endpointShape), has_more: z.boolean() });
const destinationsShape = z.looseObject({
  data: z.array(destinationShape),
  next_page_url: z.string().nullish(),
});

/** A webhook endpoint. Endpoints of the first API send snapshots: the whole object with each event. */
export type WebhookEndpoint = z.infer<typeof endpointShape>;
/** An endpoint as an event destination, which tells its payload style. */
export type EventDestination = z.infer<typeof destinationShape>;

/** How Stripe is asked, and with which key. */
export interface StripeOptions extends Partial<Pick<ApiSettings, "timeout" | "wait">> {
  /** `sk_…` or `rk_…`. */
  secretKey: string;
  /** Default https://api.stripe.com. */
  apiUrl?: string;
}

/** What a new endpoint is like. */
export interface NewEndpoint {
  url: string;
  events: readonly string[];
  /** Whether it gets the events of connected accounts in place of the account's own. */
  ofConnectedAccounts: boolean;
  metadata: Record<string, string>;
}

/** One Stripe account in one mode. Every call may throw StripeRefusal or NoAnswer. */
export class StripeApi {
  /** Of the key: undefined where it is no key of Stripe's form. */
  readonly mode: "live" | "test" | undefined;
  readonly #settings: ApiSettings;

  constructor({ secretKey, apiUrl = "https://api.stripe.com", ...rest }: StripeOptions) {
    this.mode = modeOfKey(secretKey);
    this.#settings = { service: "Stripe", baseUrl: apiUrl, secret: secretKey.trim(), ...rest };
  }

  /** Id of the account that the key is of. */
  async accountId(): Promise<string> {
    const request = read("/v1/account");
    return shaped("Stripe", request, accountShape, await this.#call(request)).id;
  }

  /** Every webhook endpoint of the account in this mode, newest first; not those that send thin events. */
  async webhookEndpoints(): Promise<WebhookEndpoint[]> {
    const found: WebhookEndpoint[] = [];
    for (;;) {
      const after = found.at(-1);
      const cursor = after ? `&starting_after=${after.id}` : "";
      const request = read(`/v1/webhook_endpoints?limit=100${cursor}`);
      const page = shaped("Stripe", request, endpointsShape, await this.#call(request));
      found.push(...page.data);
      if (!page.has_more || page.data.length === 0) return found;
    }
  }

  /** Every event destination, thin ones too, with its URL. */
  async eventDestinations(): Promise<EventDestination[]> {
    const found: EventDestination[] = [];
    let path = "/v2/core/event_destinations?limit=100&include[0]=webhook_endpoint.url";
    for (;;) {
      const request = read(path);
      const page = shaped("Stripe", request, destinationsShape, await this.#call(request));
      found.push(...page.data);
      if (!page.next_page_url) return found;
      const next = new URL(page.next_page_url, this.#settings.baseUrl);
      path = `${next.pathname}${next.search}`;
    }
  }

  /**
   * Makes an endpoint. Its secret is in the answer, and can never be read again.
   *
   * A call that is made again, as no answer came, has the same key: Stripe makes one endpoint and answers the same.
   */
  async createEndpoint(wanted: NewEndpoint): Promise<WebhookEndpoint & { secret: string }> {
    const form = new URLSearchParams({ url: wanted.url, api_version: STRIPE_VERSION });
    addEvents(form, wanted.events);
    for (const [key, value] of Object.entries(wanted.metadata)) form.append(`metadata[${key}]`, value);
    form.append("description", "Duebase");
    if (wanted.ofConnectedAccounts) form.append("connect", "true");
    const request = write("/v1/webhook_endpoints", form);
    const made = shaped("Stripe", request, endpointShape, await this.#call(request));
    if (!made.secret) throw unexpectedAnswer("Stripe", request);
    return { ...made, secret: made.secret };
  }

  /** Changes an endpoint. What is left out stays; keys of metadata that are not named stay too. */
  async updateEndpoint(
    id: string,
    change: { events?: readonly string[]; disabled?: boolean; metadata?: Record<string, string> },
  ): Promise<void> {
    const form = new URLSearchParams();
    addEvents(form, change.events ?? []);
    if (change.disabled !== undefined) form.append("disabled", String(change.disabled));
    for (const [key, value] of Object.entries(change.metadata ?? {})) form.append(`metadata[${key}]`, value);
    await this.#call(write(`/v1/webhook_endpoints/${encodeURIComponent(id)}`, form));
  }

  /** Takes an endpoint away. One that is gone is no error. */
  async deleteEndpoint(id: string): Promise<void> {
    const path = `/v1/webhook_endpoints/${encodeURIComponent(id)}`;
    await this.#call({ method: "DELETE", path, isRepeatable: true }, [404]);
  }

  async #call(request: ApiRequest, alsoFine: readonly number[] = []): Promise<unknown> {
    const headers = { "stripe-version": STRIPE_VERSION, ...request.headers };
    const answer = await callApi(this.#settings, { ...request, headers });
    if (isFine(answer, alsoFine)) return answer.body;
    throw refusalOf(request, answer, this.#settings.secret);
  }
}

function addEvents(form: URLSearchParams, events: readonly string[]): void {
  for (const [index, event] of events.entries()) form.append(`enabled_events[${index}]`, event);
}

function read(path: string): ApiRequest {
  return { method: "GET", path, isRepeatable: true };
}

function write(path: string, form: URLSearchParams): ApiRequest {
  return {
    method: "POST",
    path,
    body: form.toString(),
    contentType: "application/x-www-form-urlencoded",
    headers: { "idempotency-key": `duebase-${randomUUID()}` },
    // Under one key it is done once.
    isRepeatable: true,
  };
}

const errorShape = z.looseObject({ error: z.looseObject({ message: z.string().optional() }) });

function refusalOf(request: ApiRequest, { status, body }: ApiAnswer, secretKey: string): StripeRefusal {
  const parsed = errorShape.safeParse(body);
  const said = (parsed.success ? parsed.data.error.message : undefined) ?? "no message";
  const message = withoutSecrets(said, [secretKey]).replace(/\s+/g, " ").slice(0, 300);
  const call = named(request);
  if (status === 401) {
    return new StripeRefusal(
      status,
      `Stripe does not accept the key (${status}).`,
      "Is DUEBASE_STRIPE_SECRET_KEY whole, and not rolled? https://dashboard.stripe.com/apikeys",
    );
  }
  const [, permission] = /'(rak_\w+)'/.exec(message) ?? [];
  if (status === 403) {
    return new StripeRefusal(
      status,
      `The Stripe key may not do ${call} (${status}): it lacks ${permission ?? "a permission"}.`,
      `Give the restricted key ${permission ?? "that permission"} at https://dashboard.stripe.com/apikeys, or another key for this command alone in DUEBASE_CONNECT_STRIPE_KEY.`,
      permission ?? null,
    );
  }
  if (status === 429) {
    return new StripeRefusal(status, "Stripe takes no more calls for now (429).", "Run the command again.");
  }
  return new StripeRefusal(
    status,
    `Stripe refused ${call} (${status}): ${message}`,
    status >= 500 ? "See https://status.stripe.com, then run the command again." : "The message says why.",
  );
}
