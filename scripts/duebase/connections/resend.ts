import type { GetWebhookResponseSuccess } from "resend";
import { z } from "zod";
import { Refusal } from "../terminal.ts";
import {
  type ApiAnswer,
  type ApiRequest,
  type ApiSettings,
  callApi,
  isFine,
  named,
  shaped,
  withoutSecrets,
} from "./http.ts";

// Resend's API, as far as setting up and checking a project needs it.

/** Resend refused a call. */
export class ResendRefusal extends Refusal {
  override readonly name = "ResendRefusal";
  /** HTTP status. */
  readonly status: number;
  /** Resend's name of the error: `restricted_api_key` where the key may only send. */
  readonly code: string;

  constructor(status: number, code: string, message: string, cure: string) {
    super(message, cure);
    this.status = status;
    this.code = code;
  }
}

const webhookShape = z.looseObject({
  id: z.string(),
  endpoint: z.string(),
  status: z.string(),
  /** Null: every event. */
  events: z.array(z.string()).nullable(),
});
const webhookWithSecret = webhookShape.extend({ signing_secret: z.string() });
const createdShape = z.looseObject({ id: z.string(), signing_secret: z.string() });
const domainShape = z.looseObject({ id: z.string(), name: z.string(), status: z.string() });

const sentShape = z.looseObject({
  id: z.string(),
  created_at: z.string().transform(timeOf),
  /** sent, delivered, bounced, …; failed and canceled did not leave. */
  last_event: z.string().nullish(),
});
const sentPage = z.looseObject({ data: z.array(sentShape), has_more: z.boolean() });
const tagsShape = z.looseObject({
  tags: z.array(z.looseObject({ name: z.string(), value: z.string() })).nullish(),
});

/** An email that was sent, as a list shows it: without its tags. */
export type SentEmail = z.infer<typeof sentShape>;
/** A webhook. */
export type ResendWebhook = z.infer<typeof webhookShape>;
/** A sender domain; `status` is verified where mail may be sent. */
export type ResendDomain = z.infer<typeof domainShape>;
type EventName = NonNullable<GetWebhookResponseSuccess["events"]>[number];

/** What `duebase-resend-webhook` records of a mail. */
export const RESEND_EVENTS: readonly EventName[] = [
  "email.sent",
  "email.delivery_delayed",
  "email.delivered",
  "email.failed",
  "email.bounced",
  "email.complained",
  "email.suppressed",
];

/** How Resend is asked, and with which key. */
export interface ResendOptions extends Partial<Pick<ApiSettings, "timeout" | "wait">> {
  /** `re_…`. */
  apiKey: string;
  /** Default https://api.resend.com. */
  apiUrl?: string;
}

/** One Resend team. Every call may throw ResendRefusal or NoAnswer. */
export class ResendApi {
  readonly #settings: ApiSettings;

  constructor({ apiKey, apiUrl = "https://api.resend.com", ...rest }: ResendOptions) {
    this.#settings = { service: "Resend", baseUrl: apiUrl, secret: apiKey.trim(), ...rest };
  }

  /** The team's sender domains. */
  async domains(): Promise<ResendDomain[]> {
    return await this.#list("/domains", domainShape);
  }

  /** Every webhook, newest first, without its secret. */
  async webhooks(): Promise<ResendWebhook[]> {
    return await this.#list("/webhooks", webhookShape);
  }

  /** A webhook's signing secret, which Resend shows whenever it is asked. */
  async webhookSecret(id: string): Promise<string> {
    const request = read(`/webhooks/${encodeURIComponent(id)}`);
    return shaped("Resend", request, webhookWithSecret, await this.#call(request)).signing_secret;
  }

  /** Makes a webhook. Not made again where no answer came: it may be there. */
  async createWebhook(endpoint: string, events: readonly string[]): Promise<{ id: string; secret: string }> {
    const request = write("POST", "/webhooks", { endpoint, events }, false);
    const made = shaped("Resend", request, createdShape, await this.#call(request));
    return { id: made.id, secret: made.signing_secret };
  }

  async updateWebhook(
    id: string,
    change: { events?: readonly string[]; status?: "enabled" | "disabled" },
  ): Promise<void> {
    await this.#call(write("PATCH", `/webhooks/${encodeURIComponent(id)}`, change, true));
  }

  /** The emails that were sent, newest first, page by page. */
  async *sentEmails(): AsyncGenerator<SentEmail[]> {
    for (let after = ""; ; ) {
      const request = read(`/emails?limit=100${after}`);
      const { data, has_more } = shaped("Resend", request, sentPage, await this.#call(request));
      yield data;
      const last = data.at(-1);
      if (!has_more || last === undefined) return;
      after = `&after=${last.id}`;
    }
  }

  /** The tags of an email that was sent, by name. */
  async tagsOf(id: string): Promise<Record<string, string>> {
    const request = read(`/emails/${encodeURIComponent(id)}`);
    const { tags } = shaped("Resend", request, tagsShape, await this.#call(request));
    return Object.fromEntries((tags ?? []).map(({ name, value }) => [name, value]));
  }

  async #list<T extends { id: string }>(path: string, shape: z.ZodType<T>): Promise<T[]> {
    const page = z.looseObject({ data: z.array(shape), has_more: z.boolean().default(false) });
    const found: T[] = [];
    for (;;) {
      const after = found.at(-1);
      const request = read(`${path}?limit=100${after ? `&after=${after.id}` : ""}`);
      const { data, has_more } = shaped("Resend", request, page, await this.#call(request));
      found.push(...data);
      if (!has_more || data.length === 0) return found;
    }
  }

  async #call(request: ApiRequest): Promise<unknown> {
    const answer = await callApi(this.#settings, request);
    if (isFine(answer)) return answer.body;
    throw refusalOf(request, answer, this.#settings.secret);
  }
}

/** Resend writes times as PostgreSQL does, or by ISO 8601. */
function timeOf(text: string): Date {
  return new Date(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
}

function read(path: string): ApiRequest {
  return { method: "GET", path, isRepeatable: true };
}

function write(method: "POST" | "PATCH", path: string, body: object, isRepeatable: boolean): ApiRequest {
  return { method, path, body: JSON.stringify(body), isRepeatable };
}

const errorShape = z.looseObject({ name: z.string().default("unknown"), message: z.string().default("") });

function refusalOf(request: ApiRequest, { status, body }: ApiAnswer, apiKey: string): ResendRefusal {
  const parsed = errorShape.safeParse(body);
  const { name, message } = parsed.success ? parsed.data : { name: "unknown", message: "" };
  if (name === "restricted_api_key") {
    return new ResendRefusal(
      status,
      name,
      `The Resend key may only send (${status} ${name}), and ${named(request)} needs full access.`,
      "Give a key with full access for this command alone in DUEBASE_CONNECT_RESEND_KEY: https://resend.com/api-keys",
    );
  }
  const said = withoutSecrets(message, [apiKey]).replace(/\s+/g, " ").slice(0, 300);
  if ([400, 401, 403].includes(status) && /api.?key/i.test(`${name} ${message}`)) {
    return new ResendRefusal(
      status,
      name,
      `Resend does not accept the key (${status} ${name}).`,
      "Is DUEBASE_RESEND_API_KEY whole, and not deleted? https://resend.com/api-keys",
    );
  }
  const cure =
    status >= 500 ? "See https://resend-status.com, then run the command again." : "The message says why.";
  return new ResendRefusal(
    status,
    name,
    `Resend refused ${named(request)} (${status} ${name}): ${said}`,
    cure,
  );
}
