import { ApiError } from "../../service/api-error.ts";
import type { JsonObject } from "../core/wire.ts";

/** The parts of Stripe's error object that say more than its type and message. */
export interface ErrorDetails {
  code?: string;
  param?: string;
  decline_code?: string;
  charge?: string;
  payment_intent?: JsonObject;
  payment_method?: JsonObject;
  setup_intent?: JsonObject;
}

/** An error in the shape of https://docs.stripe.com/api/errors. */
export class StripeError extends ApiError {
  readonly type: string;
  readonly details: ErrorDetails;
  /** What was done before it was thrown stays done, as after a decline; otherwise the call leaves no trace. */
  effectsStand: boolean;

  constructor(status: number, type: string, message: string, details: ErrorDetails = {}) {
    super(status, message);
    this.name = "StripeError";
    this.type = type;
    this.details = details;
    this.effectsStand = type === "card_error";
  }

  get code(): string {
    return this.details.code ?? this.type;
  }

  /** `doc_url` is where Stripe explains the code. */
  body(requestId: string): { error: JsonObject } {
    const { code } = this.details;
    return {
      error: {
        ...this.details,
        ...(code ? { doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll("_", "-")}` } : {}),
        message: this.message,
        request_log_url: `https://dashboard.stripe.com/test/logs/${requestId}`,
        type: this.type,
      },
    };
  }
}

/** 400: the request itself is wrong. */
export function invalidRequest(message: string, details: ErrorDetails = {}): StripeError {
  return new StripeError(400, "invalid_request_error", message, details);
}

/** The same refusal, of a call that had done something by then which stays. */
export function afterEffects(error: StripeError): StripeError {
  error.effectsStand = true;
  return error;
}

/** A required parameter is absent. */
export function missingParam(param: string): StripeError {
  return invalidRequest(`Missing required param: ${param}.`, { code: "parameter_missing", param });
}

/**
 * An id names nothing.
 * @param param where the id came from; an id in the path (`id`) is a 404, one in a parameter a 400, as at Stripe
 */
export function resourceMissing(what: string, id: string, param = "id"): StripeError {
  const status = param === "id" ? 404 : 400;
  const details = { code: "resource_missing", param };
  return new StripeError(status, "invalid_request_error", `No such ${what}: '${id}'`, details);
}

/** A parameter that a version took away. */
export function unknownParam(param: string): StripeError {
  return invalidRequest(`Received unknown parameter: ${param}`, { code: "parameter_unknown", param });
}

/** 402: the card network, or the bank behind it, said no. */
export function cardError(message: string, details: ErrorDetails): StripeError {
  return new StripeError(402, "card_error", message, details);
}

/** 401: no key, or one that is not accepted here. */
export function authenticationError(message: string): StripeError {
  return new StripeError(401, "invalid_request_error", message);
}

/** 403: the key may not act for the account that `Stripe-Account` names. */
export function accountInvalid(account: string): StripeError {
  return new StripeError(
    403,
    "invalid_request_error",
    `The provided key does not have access to account '${account}' (or that account does not exist). Application access may have been revoked.`,
    { code: "account_invalid" },
  );
}

/**
 * 403: a restricted key may not do this.
 * @param permission as Stripe names it, such as `rak_customer_read`
 */
export function permissionMissing(key: string, account: string, permission: string): StripeError {
  return new StripeError(
    403,
    "invalid_request_error",
    `The provided key '${key}' does not have the required permissions for this endpoint on account '${account}'. Having the '${permission}' permission would allow this request to continue.`,
  );
}

/** 429: more calls in a second than an account has. */
export function rateLimited(): StripeError {
  return new StripeError(429, "invalid_request_error", "Request rate limit exceeded.", {
    code: "rate_limit",
  });
}

/** An idempotency key came back with other parameters (400), or while its first request still runs (409). */
export function idempotencyError(status: 400 | 409, message: string, code?: string): StripeError {
  return new StripeError(status, "idempotency_error", message, code ? { code } : {});
}

/** 404 for a method and path Stripe, or this server, does not have. */
export function unknownRoute(method: string, path: string): StripeError {
  return new StripeError(
    404,
    "invalid_request_error",
    `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
  );
}
