import type { Tag } from "resend";
import { addressIn } from "../core/addresses.ts";
import { invalidField, missingField, ResendError } from "./errors.ts";

export interface PayloadAttachment {
  filename: string;
  contentType: string | null;
  contentId: string | null;
  /** Base64; empty until it was fetched from `path`. */
  content: string;
  /** Where it is to be fetched. */
  path: string | null;
}

/** One email as a request asks for it, checked. */
export interface EmailPayload {
  from: string;
  to: string[];
  cc: string[] | null;
  bcc: string[] | null;
  replyTo: string[] | null;
  subject: string;
  html: string | null;
  text: string | null;
  headers: Record<string, string>;
  tags: Tag[];
  attachments: PayloadAttachment[];
  /** Fields that Resend does not have either, and ignores. */
  ignored: string[];
}

type Fields = Record<string, unknown>;

const mostRecipients = 50;
const tagText = /^[A-Za-z0-9_-]{1,256}$/;
const known = new Set([
  "from",
  "to",
  "cc",
  "bcc",
  "reply_to",
  "subject",
  "html",
  "text",
  "headers",
  "tags",
  "attachments",
]);
/** Resend knows these and this inbox does not: better an error than a mail that is not what was asked for. */
const unsupported = ["scheduled_at", "template", "topic_id"];

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function addressForm(field: string): string {
  return `Invalid \`${field}\` field. An address is written \`email@example.com\` or \`Name <email@example.com>\`.`;
}

function sender(fields: Fields): string {
  const { from } = fields;
  if (from === undefined || from === null || from === "") throw missingField("`from`");
  if (typeof from !== "string" || addressIn(from) === undefined) {
    throw invalidField(addressForm("from"), "invalid_from_address");
  }
  return from;
}

function addresses(fields: Fields, field: string): string[] | null {
  const value = fields[field];
  if (value === undefined || value === null || value === "") return null;
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > mostRecipients) {
    throw invalidField(
      `The \`${field}\` field takes at most ${mostRecipients} addresses, not ${list.length}.`,
    );
  }
  return list.map((entry) => {
    if (typeof entry !== "string" || addressIn(entry) === undefined) throw invalidField(addressForm(field));
    return entry;
  });
}

function recipients(fields: Fields): string[] {
  const to = addresses(fields, "to");
  if (to === null || to.length === 0) throw missingField("`to`");
  return to;
}

function optionalText(fields: Fields, field: string): string | null {
  const value = fields[field];
  if (value === undefined || value === null || value === "") return null;
  if (typeof value !== "string") throw invalidField(`The \`${field}\` field must be a string.`);
  return value;
}

function tags(fields: Fields): Tag[] {
  const value = fields.tags ?? [];
  if (!Array.isArray(value)) throw invalidField("The `tags` field must be an array.");
  return value.map((tag: unknown) => {
    if (!isFields(tag) || typeof tag.name !== "string" || typeof tag.value !== "string") {
      throw invalidField("Each tag has a `name` and a `value`, both strings.");
    }
    for (const text of [tag.name, tag.value]) {
      if (tagText.test(text)) continue;
      throw invalidField(
        `Tags take ASCII letters, numbers, underscores and dashes, 1 to 256 of them, not '${text}'.`,
      );
    }
    return { name: tag.name, value: tag.value };
  });
}

function headers(fields: Fields): Record<string, string> {
  const value = fields.headers ?? {};
  if (!isFields(value)) throw invalidField("The `headers` field must be an object.");
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => {
      if (typeof text !== "string") throw invalidField(`The header \`${name}\` must be a string.`);
      return [name, text];
    }),
  );
}

function attachments(fields: Fields): PayloadAttachment[] {
  const value = fields.attachments ?? [];
  if (!Array.isArray(value)) throw invalidField("The `attachments` field must be an array.");
  return value.map((attachment: unknown) => {
    if (!isFields(attachment) || (attachment.content === undefined && attachment.path === undefined)) {
      throw invalidField("An attachment has either `content` or `path`.", "invalid_attachment");
    }
    const { content = "", path = null } = attachment;
    if (typeof content !== "string" || (path !== null && typeof path !== "string")) {
      throw invalidField("An attachment's `content` and `path` are strings.", "invalid_attachment");
    }
    if (path !== null && !/^https?:\/\//.test(path)) {
      throw invalidField("An attachment's `path` is a URL.", "invalid_attachment");
    }
    return {
      filename: typeof attachment.filename === "string" ? attachment.filename : "attachment",
      contentType: typeof attachment.content_type === "string" ? attachment.content_type : null,
      contentId: typeof attachment.content_id === "string" ? attachment.content_id : null,
      content,
      path,
    };
  });
}

/**
 * One email out of a request's JSON.
 *
 * @throws {ResendError} 422, naming the field
 */
export function readEmail(value: unknown): EmailPayload {
  if (!isFields(value)) throw invalidField("An email must be a JSON object.");
  for (const field of unsupported) {
    if (value[field] === undefined || value[field] === null) continue;
    throw invalidField(
      `The local inbox does not know \`${field}\`: Resend does, and Duebase does not use it.`,
    );
  }
  const payload = {
    from: sender(value),
    to: recipients(value),
    cc: addresses(value, "cc"),
    bcc: addresses(value, "bcc"),
    replyTo: addresses(value, "reply_to"),
    subject: optionalText(value, "subject"),
    html: optionalText(value, "html"),
    text: optionalText(value, "text"),
    headers: headers(value),
    tags: tags(value),
    attachments: attachments(value),
    ignored: Object.keys(value).filter((field) => !known.has(field) && !unsupported.includes(field)),
  };
  const { subject } = payload;
  if (subject === null) throw missingField("`subject`");
  if (payload.html === null && payload.text === null) throw missingField("`html` or `text`");
  return { ...payload, subject };
}

/**
 * A request's body as JSON.
 *
 * @throws {ResendError} 400 validation_error
 */
export function readJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ResendError(400, "validation_error", "The request body is not JSON.");
  }
}
