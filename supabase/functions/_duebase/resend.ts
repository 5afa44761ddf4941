import { retryAfterSeconds } from "./retry-after.ts";

/** A mail exactly as it is sent: kept in `billing.emails`, the same on every attempt. */
export type Mail = {
  from: string;
  to: string;
  replyTo: string | null;
  subject: string;
  html: string;
  text: string;
  headers: Record<string, string>;
  tags: Record<string, string>;
  /** A PDF that Resend fetches from `path`. A batch takes none. */
  attachment?: { filename: string; path: string };
};

/**
 * What became of a request. `sent`: Resend took it, and says of each mail, in order, its id or why not that one.
 * `refused`: it said that it took nothing. `unknown`: it may have taken it, nobody can tell: no answer, an answer that
 * is none, or a failure of its own.
 */
export type SendResult =
  | { is: "sent"; mails: readonly MailAnswer[] }
  | ({ is: "refused"; final: boolean } & SendFailure)
  | ({ is: "unknown"; final: boolean } & SendFailure);

/** Resend about one mail of a request that it took: the id it gave it, or why it refused it. */
export type MailAnswer = { id: string } | { refusal: { code: string; message: string } };

/** Why a request with mails came to nothing, as far as it is known. */
export type SendFailure = {
  /** Resend's error name, or ours: `no_answer`, `unreadable_answer`. */
  code: string;
  message: string;
  status?: number;
  retryAfterSeconds?: number;
};

/** Keeps holiday notices from answering a mail: https://www.rfc-editor.org/rfc/rfc3834#section-5 */
export const BY_NO_PERSON = { "Auto-Submitted": "auto-generated" };

/** A value of a tag has room for 256 characters: codes of 16, each but the last with a sign after it. */
const CODES_A_TAG = 15;

/**
 * What a mail tells beside what its tag duebase_email names, as tags duebase_tells, duebase_tells_2, …: it is found by
 * them once a backup was restored that does not know it.
 *
 * @param codes of 16 hexadecimal digits each
 */
export function toldAsTags(codes: readonly string[]): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let at = 0; at < codes.length; at += CODES_A_TAG) {
    const place = at / CODES_A_TAG + 1;
    tags[place === 1 ? "duebase_tells" : `duebase_tells_${place}`] = codes
      .slice(at, at + CODES_A_TAG)
      .join("_");
  }
  return tags;
}

/** The codes in a mail's tags, see toldAsTags. */
export function toldByTags(tags: Readonly<Record<string, string>>): string[] {
  return Object.entries(tags)
    .filter(([name]) => /^duebase_tells(_\d+)?$/.test(name))
    .flatMap(([, value]) => value.split("_"));
}

/** Resend takes no more mails in one request. */
export const LARGEST_BATCH = 100;

/**
 * Sends 1 to 100 mails in one request under an idempotency key, which Resend keeps for 24 hours and which stands for
 * these bytes. Never throws.
 */
export type SendMails = (mails: readonly Mail[], idempotencyKey: string) => Promise<SendResult>;

/** How Resend is reached. Times are in milliseconds. */
export type ResendSettings = {
  apiKey: string;
  /** https://api.resend.com unless a local stack stands in for it. */
  baseUrl?: string;
  timeoutMs?: number;
  fetch?: typeof fetch;
  now?: () => number;
};

const RESEND_URL = "https://api.resend.com";
/** Mail is taken within a second; five times the platform's own retry pauses is long enough to wait. */
const TIMEOUT_MS = 15_000;

/**
 * Resend over fetch. Not its SDK: the request's bytes are part of its idempotency, and must not change with a
 * version of it. https://resend.com/docs/api-reference/emails/send-email and …/send-batch-emails
 */
export function connectResend(settings: ResendSettings): SendMails {
  const {
    apiKey,
    baseUrl = RESEND_URL,
    timeoutMs = TIMEOUT_MS,
    fetch: send = fetch,
    now = Date.now,
  } = settings;
  return async (mails, idempotencyKey) => {
    const [mail] = mails;
    const isBatch = mail === undefined || mails.length > 1;
    let response: Response;
    let text: string;
    try {
      response = await send(`${baseUrl}/emails${isBatch ? "/batch" : ""}`, {
        method: "POST",
        headers: { ...headersOf(apiKey, idempotencyKey), ...(isBatch ? PERMISSIVE : {}) },
        body: JSON.stringify(isBatch ? mails.map(requestOf) : requestOf(mail)),
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const message = error instanceof Error ? error.name : "network failure";
      return {
        is: "unknown",
        final: false,
        code: "no_answer",
        message: `Resend did not answer: ${message}.`,
      };
    }
    return readAnswer(response, text, mails.length, now());
  };
}

/** One mail of a batch that is wrong does not keep the others. https://resend.com/changelog/batch-validation-modes */
const PERMISSIVE = { "x-batch-validation": "permissive" };

function headersOf(apiKey: string, idempotencyKey: string): Record<string, string> {
  return {
    authorization: `Bearer ${apiKey}`,
    "content-type": "application/json",
    // Resend refuses requests that do not say who they are.
    "user-agent": "duebase",
    ...(idempotencyKey ? { "idempotency-key": idempotencyKey } : {}),
  };
}

/** Resend's request in a fixed order of fields. */
function requestOf(mail: Mail) {
  return {
    from: mail.from,
    to: [mail.to],
    ...(mail.replyTo === null ? {} : { reply_to: mail.replyTo }),
    subject: mail.subject,
    html: mail.html,
    text: mail.text,
    headers: mail.headers,
    tags: Object.entries(mail.tags).map(([name, value]) => ({ name, value })),
    // https://resend.com/docs/dashboard/emails/attachments
    ...(mail.attachment === undefined
      ? {}
      : { attachments: [{ ...mail.attachment, content_type: "application/pdf" }] }),
  };
}

function readAnswer(response: Response, text: string, asked: number, nowMs: number): SendResult {
  const { status } = response;
  const answer = parse(text);
  if (response.ok) {
    const mails = asked === 1 ? readSingle(answer) : readBatch(answer, asked);
    if (mails !== undefined) return { is: "sent", mails };
    return {
      is: "unknown",
      final: false,
      code: "unreadable_answer",
      message: "Resend's answer does not say what became of each mail.",
      status,
    };
  }
  const { name, message } = (answer ?? {}) as Record<string, unknown>;
  const failure: SendFailure = {
    code: typeof name === "string" ? name : `http_${status}`,
    message: typeof message === "string" ? message.slice(0, 500) : `Resend answered ${status}.`,
    status,
    retryAfterSeconds: retryAfterSeconds(response.headers, nowMs),
  };
  // Its own failure says nothing about the mail; nor does the news that the same key is being worked on right now.
  if (status >= 500 || status === 408 || failure.code === "concurrent_idempotent_requests") {
    return { is: "unknown", final: false, ...failure };
  }
  // The key belongs to another body: something was sent under it, and nothing more must be.
  if (failure.code === "invalid_idempotent_request") return { is: "unknown", final: true, ...failure };
  return { is: "refused", final: isFinal(status), ...failure };
}

function readSingle(answer: unknown): MailAnswer[] | undefined {
  const id = (answer as { id?: unknown } | null | undefined)?.id;
  return isId(id) ? [{ id }] : undefined;
}

/** `data` has the ids of those it took, in order; `errors` says which it left out. Together they must be all. */
function readBatch(answer: unknown, asked: number): MailAnswer[] | undefined {
  const { data, errors = [] } = (answer ?? {}) as {
    data?: { id?: unknown }[];
    errors?: { index?: unknown; message?: unknown }[];
  };
  if (!Array.isArray(data) || !Array.isArray(errors)) return undefined;
  const refusals = new Map(errors.map(({ index, message }) => [index, String(message).slice(0, 500)]));
  const ids = data.map(({ id }) => id);
  const mails = Array.from({ length: asked }, (_, index): MailAnswer | undefined => {
    const message = refusals.get(index);
    if (message !== undefined) return { refusal: { code: "validation_error", message } };
    const id = ids.shift();
    return isId(id) ? { id } : undefined;
  }).filter((mail) => mail !== undefined);
  return mails.length === asked && ids.length === 0 ? mails : undefined;
}

function isId(id: unknown): id is string {
  return typeof id === "string" && id !== "";
}

/** Limits pass, and the operator corrects keys and domains; what is wrong with the mail itself stays wrong. */
function isFinal(status: number): boolean {
  return ![401, 403, 404, 405, 409, 425, 429, 451].includes(status);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
