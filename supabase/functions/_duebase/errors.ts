/** Everything a function refuses or fails with: one class a cause, each with a stable code and an HTTP status. */

/**
 * The SQLSTATEs the database raises on purpose, as callers know them: `billing_private.error_codes` with an
 * HTTP status. A test compares the two.
 */
export const DATABASE_REFUSALS = {
  DU001: { code: "invalid_event", status: 400 },
  DU002: { code: "unknown_event", status: 404 },
  DU003: { code: "event_is_quarantined", status: 409 },
  DU004: { code: "append_only", status: 409 },
  DU005: { code: "unknown_handler", status: 400 },
  DU006: { code: "unknown_effect", status: 404 },
  DU007: { code: "invalid_claim", status: 400 },
  DU008: { code: "invalid_object", status: 400 },
  DU009: { code: "invalid_report", status: 400 },
  DU010: { code: "usage_limit_reached", status: 429 },
  DU011: { code: "no_usage_period", status: 403 },
  DU012: { code: "invalid_usage", status: 400 },
  DU013: { code: "usage_key_reused", status: 409 },
  DU015: { code: "insufficient_credits", status: 402 },
  DU016: { code: "credit_key_reused", status: 409 },
  DU017: { code: "invalid_credits", status: 400 },
  DU018: { code: "no_owner_to_credit", status: 404 },
  DU019: { code: "invalid_links", status: 400 },
  DU020: { code: "invalid_owner", status: 400 },
  DU025: { code: "unknown_user", status: 404 },
  DU031: { code: "thin_event", status: 400 },
  DU032: { code: "invalid_batch", status: 400 },
  DU033: { code: "payload_is_gone", status: 409 },
  DU034: { code: "payloads_are_too_young", status: 400 },
  DU040: { code: "invalid_dunning_policy", status: 400 },
  DU041: { code: "invalid_dunning_assignment", status: 400 },
  DU042: { code: "unknown_dunning_case", status: 404 },
  DU043: { code: "dunning_case_is_closed", status: 409 },
  DU044: { code: "nothing_is_overdue", status: 409 },
  DU045: { code: "invalid_dunning_hold", status: 400 },
  DU054: { code: "unknown_dunning_resumption", status: 404 },
  DU058: { code: "read_is_not_ours", status: 409 },
  DU070: { code: "invalid_owners_function", status: 400 },
  DU071: { code: "owner_must_be_named", status: 400 },
  DU072: { code: "owner_is_not_yours", status: 404 },
  DU075: { code: "versions_are_kept", status: 409 },
  DU080: { code: "mirror_mode", status: 409 },
  DU081: { code: "not_ready_to_go_live", status: 409 },
  DU082: { code: "invalid_project_ref", status: 400 },
  DU083: { code: "invalid_debts", status: 400 },
  DU084: { code: "restore_not_matched", status: 409 },
  DU090: { code: "history_lease_lost", status: 409 },
  DU091: { code: "invalid_history_page", status: 400 },
} as const;

/** Facts about a failure that are safe to log: never text taken from a request or from a row. */
export type Diagnostics = {
  /** What is probably wrong and where to put it right, in words of ours. */
  reason?: string;
  /** SQLSTATE, or the Data API's own PGRST code. */
  sqlstate?: string;
  /** HTTP status the Data API answered with. */
  upstream_status?: number;
};

type ErrorDetails = {
  headers?: Record<string, string>;
  facts?: Record<string, unknown>;
  diagnostics?: Diagnostics;
  cause?: unknown;
};

/** Base of all of ours: `message` and `facts` may be shown to the caller, `diagnostics` only to the operator. */
export class DuebaseError extends Error {
  readonly code: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What the caller may decide by: fields of the answer beside code and message. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly diagnostics: Diagnostics;

  constructor(code: string, status: number, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.headers = details.headers ?? {};
    this.facts = details.facts ?? {};
    this.diagnostics = details.diagnostics ?? {};
  }
}

/** A required setting is missing, blank or unreadable: the function must not start. */
export class ConfigurationError extends DuebaseError {
  constructor(message: string) {
    super("configuration", 500, message);
  }
}

/** The request has another method than the one that the function takes; `allow` goes into the header of that name. */
export class MethodNotAllowedError extends DuebaseError {
  constructor(allow: string) {
    super("method_not_allowed", 405, `Only ${allow} is accepted here.`, { headers: { allow } });
  }
}

/** The caller of `duebase-health` shows a secret, and not the right one. */
export class HealthSecretError extends DuebaseError {
  constructor() {
    super("unauthorized", 401, "The request does not carry DUEBASE_HEALTH_SECRET.", {
      headers: { "www-authenticate": "Bearer" },
    });
  }
}

/** `duebase-health` is asked for a format that there is not. */
export class InvalidFormatError extends DuebaseError {
  constructor() {
    super("invalid_format", 400, "There is format=json and format=openmetrics.");
  }
}

/** The caller is no signed-in user: no access token, or one that Auth does not (or no longer) vouch for. */
export class NotSignedInError extends DuebaseError {
  constructor(diagnostics: Diagnostics = {}) {
    super("not_signed_in", 401, "Sign in first: the request carries no valid access token of a user.", {
      headers: { "www-authenticate": "Bearer" },
      diagnostics,
    });
  }
}

/** A browser asked from a page that is not the application's. */
export class OriginNotAllowedError extends DuebaseError {
  constructor() {
    super("origin_not_allowed", 403, "Pages of this origin may not call here.", {
      diagnostics: {
        reason: "The origin is neither that of app_url nor that of billing_url in billing.settings.",
      },
    });
  }
}

/** What a signed-in user asked for cannot be: `code` says why, `message` says what to do. */
export class SessionRefusedError extends DuebaseError {
  constructor(
    code:
      | "invalid_request"
      | "invalid_url"
      | "no_customer"
      | "owner_deleted"
      | "unknown_subscription"
      | "unknown_price"
      | "already_subscribed"
      | "checkout_replaced"
      | "idempotency_conflict"
      | "stripe_refused",
    status: 400 | 404 | 409,
    message: string,
    diagnostics: Diagnostics = {},
  ) {
    super(code, status, message, { diagnostics });
  }
}

/** The signed-in user manages several owners, and did not say for which one they act. */
export class OwnerRequiredError extends DuebaseError {
  /** @param owners The ids of those owners. */
  constructor(owners: readonly string[]) {
    const message = 'Say for whom: "owner_id" is one of the owners listed here.';
    super("owner_required", 400, message, { facts: { owners } });
  }
}

/**
 * The signed-in user does not manage the owner they named, or manages none. The answer is the same whether such an
 * owner exists or not.
 */
export class NotAManagerError extends DuebaseError {
  constructor() {
    const message = "Only a manager of the owner may do this, and this user is not known as one.";
    super("not_a_manager", 403, message);
  }
}

/** The body is larger than the function reads. It is not read to its end. */
export class PayloadTooLargeError extends DuebaseError {
  constructor(limitBytes: number) {
    super("payload_too_large", 413, `The body is larger than ${limitBytes} bytes.`);
  }
}

/** The sender went away, or the stream broke, before the whole body was here. */
export class IncompleteBodyError extends DuebaseError {
  constructor(cause: unknown) {
    super("incomplete_body", 400, "The body could not be read to its end.", { cause });
  }
}

/** What is wrong with a signature header; the code of the answer is `signature_` and this. */
export type SignatureFault = "missing" | "malformed" | "mismatch" | "too_old" | "too_new";

const SIGNATURE_MESSAGES: Record<SignatureFault, string> = {
  missing: "There is no signature header.",
  malformed: "The signature header is not of the form t=<seconds>,v1=<hex>.",
  mismatch: "No signature in the header matches the body and a configured secret.",
  too_old: "The signature's timestamp is too far in the past.",
  too_new: "The signature's timestamp is in the future.",
};

/** The request is not proven to come from who it says: `code` is `signature_<fault>`. */
export class SignatureError extends DuebaseError {
  readonly fault: SignatureFault;

  constructor(fault: SignatureFault) {
    super(`signature_${fault}`, 400, SIGNATURE_MESSAGES[fault]);
    this.fault = fault;
  }
}

/**
 * A call of cron's is not signed with the secret that cron and the functions share, or not of now. Only the latter is
 * told apart, for the operator: its `code` is that of the SignatureError.
 */
export class UnauthorizedError extends DuebaseError {
  constructor(cause: SignatureError) {
    const isLate = cause.fault === "too_old" || cause.fault === "too_new";
    const message = isLate ? cause.message : "The request is not signed with the shared secret.";
    super(isLate ? cause.code : "unauthorized", 401, message, {
      headers: { "www-authenticate": "Duebase-Signature" },
    });
  }
}

/** Genuine, but nothing we can store: the sender's signature is right and the content is not an event. */
export class InvalidEventError extends DuebaseError {
  constructor(
    code:
      | "invalid_encoding"
      | "invalid_json"
      | "invalid_event"
      | "thin_event"
      | "too_deeply_nested"
      | "unstorable_event",
    message: string,
    diagnostics: Diagnostics = {},
  ) {
    super(code, 400, message, { diagnostics });
  }
}

/** The database understood the call and refuses it for good, with a message and a hint of its own. */
export class DatabaseRefusal extends DuebaseError {
  readonly hint: string;
  /** DETAIL: for some refusals a JSON object with the numbers to decide by, such as what is left of a limit. */
  readonly detail: string;

  constructor(sqlstate: string, message: string, hint: string, diagnostics: Diagnostics, detail = "") {
    // A code of a newer database than this function was deployed with is still a refusal.
    const { code, status } = refusalOf(sqlstate) ?? { code: "refused", status: 400 };
    super(code, status, message, { diagnostics });
    this.hint = hint;
    this.detail = detail;
  }
}

function refusalOf(sqlstate: string): { code: string; status: number } | undefined {
  return Object.entries(DATABASE_REFUSALS).find(([ours]) => ours === sqlstate)?.[1];
}

/** Seconds after which a sender may try again; Stripe keeps to its own schedule. */
const RETRY_AFTER_SECONDS = 10;
const NOT_STORED = "Nothing is known to be stored. Please send it again.";

/** Unreachable, too slow, out of connections, or giving way to another transaction: passes by itself. */
export class DatabaseUnavailableError extends DuebaseError {
  constructor(diagnostics: Diagnostics, cause?: unknown) {
    super("database_unavailable", 503, NOT_STORED, {
      headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
      diagnostics,
      cause,
    });
  }
}

/** The Data API answered, but not as in a project that is set up: the operator has to correct something. */
export class DatabaseMisconfiguredError extends DuebaseError {
  constructor(diagnostics: Diagnostics) {
    super("database_misconfigured", 503, NOT_STORED, {
      headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
      diagnostics,
    });
  }
}

/** Auth or Stripe did not answer, or asks to be left alone for a while: passes by itself. */
export class UpstreamUnavailableError extends DuebaseError {
  constructor(upstream: "auth" | "stripe", diagnostics: Diagnostics, retryAfterSeconds?: number) {
    super(`${upstream}_unavailable`, 503, "This is not possible right now. Please try again.", {
      headers: { "retry-after": String(Math.ceil(retryAfterSeconds ?? RETRY_AFTER_SECONDS)) },
      diagnostics,
    });
  }
}

/** Auth or Stripe answered, but not as to a project that is set up: the operator has to correct something. */
export class UpstreamMisconfiguredError extends DuebaseError {
  constructor(upstream: "auth" | "stripe" | "settings", diagnostics: Diagnostics) {
    super(`${upstream}_misconfigured`, 503, "This is not set up yet. Please try again later.", {
      headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
      diagnostics,
    });
  }
}

/** Stripe said no, or said nothing. Its code is Stripe's and no caller's: what a function answers is decided by who called. */
export class StripeCallError extends Error {
  override readonly name = "StripeCallError";
  /** Stripe's error code or type, or ours: `no_answer`, `unreadable_answer`, `wrong_account`, `wrong_mode`. */
  readonly code: string;
  /** HTTP status; undefined without an answer. */
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** As StripeAnswer's (see stripe.ts); undefined without an answer. */
  readonly asOf: number | undefined;

  constructor(failure: {
    code: string;
    message: string;
    status?: number;
    retryAfterSeconds?: number;
    asOf?: number;
  }) {
    super(failure.message);
    this.code = failure.code;
    this.status = failure.status;
    this.retryAfterSeconds = failure.retryAfterSeconds;
    this.asOf = failure.asOf;
  }

  /** Whether the same call may succeed later: no answer, a limit, a conflict, or a failure of Stripe's own. */
  get isPassing(): boolean {
    return this.status === undefined || [401, 403, 409, 424, 429].includes(this.status) || this.status >= 500;
  }

  /**
   * Whether it says nothing about what was asked: Stripe is away or wants to be left alone, or the key is not good. A
   * 500 is not among these, as Stripe may fail on one object and answer about all others.
   */
  get isOutage(): boolean {
    return this.status === undefined || [401, 403, 429, 503].includes(this.status);
  }
}

/**
 * The one place where an error becomes an answer: `{"error":{"code","message"}}`, with facts where it has any, its
 * status and headers. Whatever is not ours is a bug of ours, and says nothing about itself to the caller.
 */
export function errorResponse(error: unknown): Response {
  const known = error instanceof DuebaseError;
  const code = known ? error.code : "internal_error";
  const message = known ? error.message : "Something went wrong here. Please send it again.";
  const facts = known ? error.facts : {};
  return Response.json(
    { error: { ...facts, code, message } },
    known ? { status: error.status, headers: error.headers } : { status: 500 },
  );
}
