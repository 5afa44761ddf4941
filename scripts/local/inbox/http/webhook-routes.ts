import type { GetWebhookResponseSuccess } from "resend";
import { del, get, patch, post } from "../../service/route.ts";
import type { WebhookEndpoint, WebhookEndpoints } from "../webhooks/endpoints.ts";
import { invalidField, missingField, notFound } from "./errors.ts";
import { pageOf } from "./page.ts";
import { readJson } from "./payload.ts";
import type { Route } from "./route.ts";

type Events = NonNullable<GetWebhookResponseSuccess["events"]>;

function fieldsOf(body: string): Record<string, unknown> {
  const fields = readJson(body);
  if (typeof fields !== "object" || fields === null) throw invalidField("A webhook must be a JSON object.");
  return fields as Record<string, unknown>;
}

function urlOf(given: unknown): string {
  if (typeof given !== "string" || given === "") throw missingField("`endpoint`");
  if (!URL.canParse(given) || !/^https?:/.test(given)) {
    throw invalidField("The `endpoint` field must be a valid URL.");
  }
  return given;
}

function eventsOf(given: unknown): Events {
  if (!Array.isArray(given) || given.length === 0) throw missingField("`events`");
  for (const event of given) {
    if (
      typeof event !== "string" ||
      !/^(email|contact|domain|suppression|topic|inbox)\.[a-z_.]+$/.test(event)
    ) {
      throw invalidField(`Invalid \`events\` field: ${String(event)}`);
    }
  }
  return given as Events;
}

function listed({
  object: _object,
  signing_secret: _secret,
  ...shown
}: WebhookEndpoint): Omit<WebhookEndpoint, "object" | "signing_secret"> {
  return shown;
}

/** `/webhooks` (https://resend.com/docs/api-reference/webhooks). One webhook is shown with its secret, a list without. */
export function webhookRoutes(endpoints: WebhookEndpoints, now: () => Date): Route[] {
  const find = (id: string | undefined): WebhookEndpoint => {
    const found = endpoints.get(id ?? "");
    if (!found) throw notFound("Webhook");
    return found;
  };
  return [
    post("/webhooks", ({ body }) => {
      const fields = fieldsOf(body);
      const made = endpoints.add(urlOf(fields.endpoint), eventsOf(fields.events), now());
      return { object: made.object, id: made.id, signing_secret: made.signing_secret };
    }),
    get("/webhooks", ({ query }) => pageOf(endpoints.all().reverse().map(listed), query)),
    get("/webhooks/:id", ({ path }) => find(path.id)),
    patch("/webhooks/:id", ({ path, body }) => {
      const webhook = find(path.id);
      const { endpoint, events, status } = fieldsOf(body);
      if (status !== undefined && status !== "enabled" && status !== "disabled") {
        throw invalidField("The `status` field must be enabled or disabled.");
      }
      endpoints.change(webhook, {
        ...(endpoint === undefined ? {} : { endpoint: urlOf(endpoint) }),
        ...(events === undefined ? {} : { events: eventsOf(events) }),
        ...(status === undefined ? {} : { status }),
      });
      return { object: webhook.object, id: webhook.id };
    }),
    del("/webhooks/:id", ({ path }) => {
      const { object, id } = find(path.id);
      endpoints.remove({ ...find(path.id) });
      return { object, id, deleted: true };
    }),
  ];
}
