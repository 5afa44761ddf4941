import { type CreateEmailOptions, type ErrorResponse, Resend } from "resend";
import type { Inbox } from "../../../scripts/local/inbox/server.ts";

export const apiKey = "re_example_local_inbox";

export function clientOf(inbox: Inbox, key = apiKey): Resend {
  return new Resend(key, { baseUrl: inbox.apiUrl });
}

type Written = Partial<Pick<CreateEmailOptions, "from" | "cc" | "bcc" | "replyTo" | "tags" | "headers">> & {
  to?: string | string[];
  subject?: string;
  html?: string;
  text?: string;
};

/** An email that is right in every respect. */
export function mail(changes: Written = {}): CreateEmailOptions {
  return {
    from: "Northlight <billing@northlight.example>",
    to: "ada@example.com",
    subject: "Your receipt",
    html: "<p>Thank you.</p>",
    text: "Thank you.",
    ...changes,
  };
}

/** What the SDK gave back, where it must be a success. */
export function dataOf<T>(result: { data: T | null; error: ErrorResponse | null }): T {
  if (result.data === null) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.data;
}
