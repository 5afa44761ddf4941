import { randomBytes } from "node:crypto";
import type { WebhookEventPayload } from "resend";
import { type StoredEmail, tagsOf } from "../core/email.ts";
import type { Bounce, EmailEventType } from "../core/outcomes.ts";

/** An event, under the id that all its deliveries have in common. */
export interface LoggedEvent {
  /** `svix-id`: a receiver that has seen it has seen the event. */
  id: string;
  emailId: string;
  payload: WebhookEventPayload;
}

function payloadOf(email: StoredEmail, type: EmailEventType, bounce: Bounce, at: Date): WebhookEventPayload {
  const { id, message_id, from, to, subject, created_at } = email.shown;
  const tags = tagsOf(email);
  const data = {
    email_id: id,
    message_id,
    from,
    to,
    subject,
    created_at,
    ...(Object.keys(tags).length > 0 ? { tags } : {}),
  };
  const happened = { created_at: at.toISOString() };
  switch (type) {
    case "email.bounced":
      return { type, ...happened, data: { ...data, bounce } };
    case "email.failed":
      return { type, ...happened, data: { ...data, failed: { reason: "the_local_inbox_was_asked_to" } } };
    case "email.suppressed":
      return {
        type,
        ...happened,
        data: {
          ...data,
          suppressed: {
            type: "OnAccountSuppressionList",
            message: "The address is on the suppression list: it bounced or complained earlier.",
          },
        },
      };
    default:
      return { type, ...happened, data };
  }
}

/** Resend's event for what happened to an email. */
export function eventOf(email: StoredEmail, type: EmailEventType, bounce: Bounce, at: Date): LoggedEvent {
  return {
    id: `msg_${randomBytes(14).toString("hex")}`,
    emailId: email.shown.id,
    payload: payloadOf(email, type, bounce, at),
  };
}
