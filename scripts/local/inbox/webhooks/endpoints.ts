import { randomUUID } from "node:crypto";
import type { GetWebhookResponseSuccess } from "resend";
import { newSecret } from "./signature.ts";

/** A webhook as `GET /webhooks/:id` shows it; `events` null: every event. */
export type WebhookEndpoint = GetWebhookResponseSuccess;

/** The places that events are sent to: those named at the start, and those made through the API. */
export class WebhookEndpoints {
  private readonly configured: WebhookEndpoint[];
  private readonly made = new Map<string, WebhookEndpoint>();
  private readonly onChange: () => void;

  /**
   * @param urls get every event, signed with `secret`; they are no part of what is remembered
   * @param onChange called after one was made, changed or removed
   */
  constructor(urls: string[], secret: string, now: () => Date, onChange: () => void = () => {}) {
    this.configured = urls.map((endpoint) => ({
      object: "webhook",
      id: randomUUID(),
      created_at: now().toISOString(),
      status: "enabled",
      endpoint,
      events: null,
      signing_secret: secret,
    }));
    this.onChange = onChange;
  }

  /** In the order they were made. */
  all(): WebhookEndpoint[] {
    return [...this.configured, ...this.made.values()];
  }

  get(id: string): WebhookEndpoint | undefined {
    return this.all().find((endpoint) => endpoint.id === id);
  }

  add(endpoint: string, events: WebhookEndpoint["events"], at: Date): WebhookEndpoint {
    const added: WebhookEndpoint = {
      object: "webhook",
      id: randomUUID(),
      created_at: at.toISOString(),
      status: "enabled",
      endpoint,
      events,
      signing_secret: newSecret(),
    };
    this.made.set(added.id, added);
    this.onChange();
    return added;
  }

  change(
    webhook: WebhookEndpoint,
    change: Partial<Pick<WebhookEndpoint, "endpoint" | "events" | "status">>,
  ): void {
    Object.assign(webhook, change);
    this.onChange();
  }

  remove({ id }: WebhookEndpoint): void {
    this.made.delete(id);
    const position = this.configured.findIndex((endpoint) => endpoint.id === id);
    if (position !== -1) this.configured.splice(position, 1);
    this.onChange();
  }

  /** Those made through the API, to be remembered. */
  dump(): WebhookEndpoint[] {
    return [...this.made.values()];
  }

  restore(endpoints: WebhookEndpoint[]): void {
    for (const endpoint of endpoints) this.made.set(endpoint.id, endpoint);
  }
}
