/** Something that was asked of a server. */
export interface LedgerRequest {
  seq: number;
  id: string;
  /** Milliseconds, real time. */
  at: number;
  method: string;
  /** As the SDK names it, such as `/v1/charges` or `/emails/batch`. */
  path: string;
  idempotencyKey: string | null;
  /** Null until there is an answer, and for ever where the connection was cut or the caller gave up. */
  status: number | null;
  /** What the API calls the error that was answered. */
  errorCode: string | null;
  /** Answered from what is kept under the key: nothing was done again. */
  replayed: boolean;
  /** Parameters that the server does not know and left alone. */
  ignored: string[];
}

type Unanswered = "seq" | "at" | "status" | "errorCode" | "replayed" | "ignored";

/** Which requests are meant; a field that is absent asks for nothing. */
export interface RequestFilter
  extends Partial<Pick<LedgerRequest, "method" | "status" | "replayed" | "errorCode">> {
  path?: string | RegExp;
  idempotencyKey?: string | null;
}

/** Whether a text is the one that is wanted, or fits its pattern. Where nothing is wanted, all do. */
export function fits(wanted: string | RegExp | undefined, text: string): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === "string" ? wanted === text : wanted.test(text);
}

/** Whether every field of a filter has the value it asks for. */
export function hasFields<T extends object>(record: T, filter: Partial<T>): boolean {
  return Object.entries(filter).every(([field, value]) => record[field as keyof T] === value);
}

/**
 * Everything asked of a server, in order, for tests to count. Each server's own adds what it did.
 *
 * @typeParam Extra what its requests say besides
 */
export class RequestLedger<Extra extends object = object> {
  readonly requests: (LedgerRequest & Extra)[] = [];

  /** Note a request that came in now. Its answer is filled in when there is one. */
  recordRequest(request: Omit<LedgerRequest, Unanswered> & Extra): LedgerRequest & Extra {
    const recorded = {
      ...request,
      seq: this.requests.length + 1,
      at: Date.now(),
      status: null,
      errorCode: null,
      replayed: false,
      ignored: [],
    } as LedgerRequest & Extra;
    this.requests.push(recorded);
    return recorded;
  }

  /** Requests that match every field given; a path may be a pattern. */
  requestsWhere({ path, ...filter }: RequestFilter = {}): (LedgerRequest & Extra)[] {
    return this.requests.filter(
      (request) => fits(path, request.path) && hasFields<LedgerRequest>(request, filter),
    );
  }

  clear(): void {
    this.requests.length = 0;
  }
}
