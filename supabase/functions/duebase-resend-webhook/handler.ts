import { InvalidEventError } from "../_duebase/errors.ts";
import { parseJson, storableJson } from "../_duebase/json.ts";
import type { VerifySvixSignature } from "../_duebase/svix-signature.ts";
import { outcomeIn, receiveWebhook, type WebhookEndpointDependencies } from "../_duebase/webhook-endpoint.ts";

export type ResendWebhookDependencies = WebhookEndpointDependencies & {
  verifySignature: VerifySvixSignature;
  /** Takes a report, as JSON text, under its id; resolves with the database's answer once it is committed. */
  receiveReport: (id: string, report: string) => Promise<unknown>;
};

/**
 * Resend's way in: whatever Resend signed about a mail is taken, once an event id. Events about anything else (domains,
 * contacts) are answered with 200 and forgotten.
 */
export function handleResendWebhook(
  request: Request,
  dependencies: ResendWebhookDependencies,
): Promise<Response> {
  const { verifySignature, receiveReport } = dependencies;
  return receiveWebhook(request, dependencies, {
    verify: verifySignature,
    async take(body, id, about) {
      about({ event: id });
      const { value, text } = parseJson(body);
      const type = typeOf(value);
      about({ event: id, type });
      if (!type.startsWith("email.")) return "ignored";
      return outcomeIn(await receiveReport(id, storableJson(text)), "billing.receive_email_report");
    },
  });
}

function typeOf(value: unknown): string {
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type === "string" && type !== "") return type;
  throw new InvalidEventError("invalid_event", "The body is not an event of Resend's.");
}
