import { ApiError } from "../service/api-error.ts";

/** An error as Supabase's Management API words it: a status and a message. */
export class ManagementApiError extends ApiError {
  readonly code: string;

  constructor(status: number, message: string) {
    super(status, message);
    this.name = "ManagementApiError";
    this.code = String(status);
  }

  body(): object {
    return { message: this.message };
  }
}

/** No token, or one that is not good. */
export function unauthorized(): ManagementApiError {
  return new ManagementApiError(401, "Unauthorized");
}

/** The token, or the role of whom it belongs to, does not go so far. */
export function forbidden(): ManagementApiError {
  return new ManagementApiError(
    403,
    "Your account does not have the necessary privileges to access this endpoint. For more details, refer to our documentation https://supabase.com/docs/guides/platform/access-control",
  );
}

export function notFound(what: string): ManagementApiError {
  return new ManagementApiError(404, `${what} not found`);
}

export function badRequest(message: string): ManagementApiError {
  return new ManagementApiError(400, message);
}
