import type { ErrorResponse } from "resend";

/** The names Resend gives its errors (https://resend.com/docs/api-reference/errors). */
export type ErrorName = ErrorResponse["name"];

/** An answer other than 2xx, in Resend's shape: flat, with the status repeated in the body. */
export class ResendError extends Error {
  readonly statusCode: number;
  readonly code: ErrorName;

  constructor(statusCode: number, code: ErrorName, message: string) {
    super(message);
    this.name = "ResendError";
    this.statusCode = statusCode;
    this.code = code;
  }

  /** The JSON body. */
  body(): ErrorResponse {
    return { statusCode: this.statusCode, name: this.code, message: this.message };
  }
}

/** 422: a required field is absent or empty. */
export function missingField(field: string): ResendError {
  return new ResendError(422, "missing_required_field", `Missing ${field} field.`);
}

/** 422: a field is there and wrong. */
export function invalidField(message: string, code: ErrorName = "validation_error"): ResendError {
  return new ResendError(422, code, message);
}

/** 404: no such email, suppression or endpoint. */
export function notFound(what: string): ResendError {
  return new ResendError(404, "not_found", `${what} not found`);
}
