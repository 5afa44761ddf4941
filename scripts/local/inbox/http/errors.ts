import type { ErrorResponse } from "resend";
import { ApiError } from "../../service/api-error.ts";

/** The names Resend gives its errors (https://resend.com/docs/api-reference/errors). */
export type ErrorName = ErrorResponse["name"];

/** An error in Resend's shape: flat, with the status repeated in the body. */
export class ResendError extends ApiError {
  readonly code: ErrorName;

  constructor(status: number, code: ErrorName, message: string) {
    super(status, message);
    this.name = "ResendError";
    this.code = code;
  }

  body(): ErrorResponse {
    return { statusCode: this.status, name: this.code, message: this.message };
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
