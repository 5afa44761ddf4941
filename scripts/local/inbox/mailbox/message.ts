import type { SendMailOptions } from "nodemailer";
import { addressIn } from "../core/addresses.ts";
import { type StoredEmail, tagsOf } from "../core/email.ts";

/** Shows, among the mail's headers, what Resend knows of it and the mail itself does not say. */
function resendHeaders(email: StoredEmail): Record<string, string> {
  const tags = Object.entries(tagsOf(email)).map(([name, value]) => `${name}=${value}`);
  return {
    "X-Resend-Email-Id": email.shown.id,
    // The page tells ages by the real clock, and the Date header not at all.
    "X-Resend-Created-At": email.shown.created_at,
    ...(tags.length > 0 ? { "X-Resend-Tags": tags.join("; ") } : {}),
  };
}

/** The MIME message that a recipient would have got. */
export function messageOf(email: StoredEmail): SendMailOptions {
  const { from, to, cc, bcc, reply_to, subject, html, text, created_at, message_id } = email.shown;
  const everyone = [...to, ...(cc ?? []), ...(bcc ?? [])];
  return {
    from,
    to,
    cc: cc ?? undefined,
    replyTo: reply_to ?? undefined,
    subject,
    html: html ?? undefined,
    text: text ?? undefined,
    messageId: message_id,
    // The inbox's clock, which may be months from here: the page sorts by it.
    date: new Date(created_at),
    headers: { ...email.headers, ...resendHeaders(email) },
    attachments: email.attachments.map(({ filename, contentType, contentId, content }) => ({
      filename,
      content,
      encoding: "base64",
      contentType: contentType ?? undefined,
      cid: contentId ?? undefined,
    })),
    envelope: { from: addressIn(from) ?? "", to: everyone.map((address) => addressIn(address) ?? address) },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
