/** Something that happened to somebody's money or subscription. */
export type EffectKind =
  | "charge.authorized"
  | "charge.captured"
  | "charge.failed"
  | "charge.succeeded"
  | "dispute.closed"
  | "dispute.created"
  | "invoice.marked_uncollectible"
  | "invoice.paid"
  | "invoice.sent"
  | "invoice.voided"
  | "refund.failed"
  | "refund.succeeded"
  | "subscription.canceled"
  | "subscription.created"
  | "subscription.paused"
  | "subscription.resumed"
  | "subscription.updated";

export interface Effect {
  seq: number;
  kind: EffectKind;
  /** Id of the charge, refund, invoice, subscription or dispute. */
  object: string;
  customer: string | null;
  /** In the currency's smallest unit; null where no money moved. */
  amount: number | null;
  currency: string | null;
  /** Seconds, by the object's own clock. */
  at: number;
  /** The request that caused it; null where Stripe acted by itself (a renewal, a retry). */
  request: string | null;
  /** A few words more, such as a decline code. */
  detail: string | null;
}

export interface LedgerRequest {
  seq: number;
  id: string;
  /** Milliseconds, real time. */
  at: number;
  method: string;
  path: string;
  idempotencyKey: string | null;
  /** `Stripe-Account`: the connected account that was asked about. */
  account: string | null;
  /** Null where the connection was cut before an answer. */
  status: number | null;
  errorCode: string | null;
  /** Answered from the idempotency store: nothing was done again. */
  replayed: boolean;
  /** Parameters this server does not know and left alone. */
  ignored: string[];
}

export type EffectFilter = Partial<Pick<Effect, "kind" | "object" | "customer" | "request">>;
export interface RequestFilter extends Partial<Pick<LedgerRequest, "method" | "status" | "replayed">> {
  path?: string | RegExp;
  idempotencyKey?: string | null;
}

/** Everything asked of this Stripe and everything it did, in order, for tests to count. */
export class Ledger {
  readonly effects: Effect[] = [];
  readonly requests: LedgerRequest[] = [];

  recordEffect(effect: Omit<Effect, "seq">): void {
    this.effects.push({ seq: this.effects.length + 1, ...effect });
  }

  recordRequest(request: Omit<LedgerRequest, "seq">): LedgerRequest {
    const recorded = { seq: this.requests.length + 1, ...request };
    this.requests.push(recorded);
    return recorded;
  }

  /** Effects that match every field given. */
  effectsWhere(filter: EffectFilter = {}): Effect[] {
    const wanted = Object.entries(filter) as [keyof EffectFilter, unknown][];
    return this.effects.filter((effect) => wanted.every(([field, value]) => effect[field] === value));
  }

  /** Requests that match every field given; a path may be a pattern. */
  requestsWhere({ path, ...filter }: RequestFilter = {}): LedgerRequest[] {
    const wanted = Object.entries(filter) as [keyof Omit<RequestFilter, "path">, unknown][];
    return this.requests.filter(
      (request) =>
        wanted.every(([field, value]) => request[field] === value) &&
        (path === undefined || (typeof path === "string" ? path === request.path : path.test(request.path))),
    );
  }

  count(filter: EffectFilter = {}): number {
    return this.effectsWhere(filter).length;
  }

  clear(): void {
    this.effects.length = 0;
    this.requests.length = 0;
  }
}
