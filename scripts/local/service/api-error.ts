/** An answer other than 2xx, as the API words it. */
export abstract class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** What the API calls this error, and the ledger notes of it. */
  abstract readonly code: string;

  /** The JSON body. */
  abstract body(requestId: string): object;
}

/**
 * What a handler threw, as an error of the API. A bug is logged with its stack.
 *
 * @param service names the server in the log
 * @param failure makes the API's own 500 of a bug
 */
export function asApiError<E extends ApiError>(
  thrown: unknown,
  service: string,
  log: (line: string) => void,
  failure: (message: string) => E,
): ApiError {
  if (thrown instanceof ApiError) return thrown;
  log(`bug in the local ${service}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
  return failure(String(thrown));
}
