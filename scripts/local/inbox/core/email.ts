import type { GetEmailResponseSuccess } from "resend";
import type { PayloadAttachment } from "../http/payload.ts";

/** An email that was accepted: what Resend's API shows of it, and what it does not show. */
export interface StoredEmail {
  shown: GetEmailResponseSuccess;
  headers: Record<string, string>;
  attachments: PayloadAttachment[];
}

/** Tags by name, as webhooks carry them. */
export function tagsOf(email: StoredEmail): Record<string, string> {
  return Object.fromEntries((email.shown.tags ?? []).map(({ name, value }) => [name, value]));
}
