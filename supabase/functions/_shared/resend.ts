import type { CreateEmailRequestOptions, CreateEmailResponseSuccess, ErrorResponse } from "resend";
import { retryAfterSeconds } from "./retry-after.ts";

/** A mail exactly as it is sent: kept in `billing.emails`, the same on every attempt. */
export type Mail = {
  from: string;
  to: string;
  replyTo: string | null;
  subject: string;
  html: string;
  text: string;
  tags: Record<string, string>;
};

/**
 * What became of an attempt. `refused`: Resend said that it did not take the mail. `unknown`: it may have taken it,
 * nobody can tell: no answer, an answer that is none, or a failure of its own.
 */
export type SendResult =
  | { is: "sent"; id: string }
  | ({ is: "refused"; final: boolean } & SendFailure)
  | ({ is: "unknown"; final: boolean } & SendFailure);

export type SendFailure = {
  /** Resend's error name, or ours: `no_answer`, `unreadable_answer`. */
  code: string;
  message: string;
  status?: number;
  retryAfterSeconds?: number;
};

/** Sends one mail under an idempotency key, which Resend keeps for 24 hours. Never throws. */
export type SendMail = (mail: Mail, idempotencyKey: string) => Promise<SendResult>;

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
 * version of it. https://resend.com/docs/api-reference/emails/send-email
 */
export function connectResend(settings: ResendSettings): SendMail {
  const {
    apiKey,
    baseUrl = RESEND_URL,
    timeoutMs = TIMEOUT_MS,
    fetch: send = fetch,
    now = Date.now,
  } = settings;
  return async (mail, idempotencyKey) => {
    let response: Response;
    let text: string;
    try {
      response = await send(`${baseUrl}/emails`, {
        method: "POST",
        headers: headersOf(apiKey, { idempotencyKey }),
        body: JSON.stringify(requestOf(mail)),
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
    return readAnswer(response, text, now());
  };
}

function headersOf(apiKey: string, { idempotencyKey }: CreateEmailRequestOptions): Record<string, string> {
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
    tags: Object.entries(mail.tags).map(([name, value]) => ({ name, value })),
  };
}

function readAnswer(response: Response, text: string, nowMs: number): SendResult {
  const { status } = response;
  const answer = parse(text);
  if (response.ok) {
    const id = (answer as Partial<CreateEmailResponseSuccess> | undefined)?.id;
    if (typeof id === "string" && id !== "") return { is: "sent", id };
    return {
      is: "unknown",
      final: false,
      code: "unreadable_answer",
      message: "Resend's answer has no id.",
      status,
    };
  }
  const { name, message } = (answer ?? {}) as Partial<ErrorResponse>;
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

/** Limits pass, and keys and domains are put right by a person; what is wrong with the mail itself stays wrong. */
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
