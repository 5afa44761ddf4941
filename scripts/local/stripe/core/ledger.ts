import { hasFields, RequestLedger } from "../../service/ledger.ts";

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

/** One thing that was done, as a test counts it. */
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

/** What Stripe's requests say besides. */
export interface AccountNamed {
  /** `Stripe-Account`: the connected account that was asked about. */
  account: string | null;
}

/** Which effects are meant; a field that is absent asks for nothing. */
export type EffectFilter = Partial<Pick<Effect, "kind" | "object" | "customer" | "request">>;

/** Everything asked of this Stripe and everything it did, in order, for tests to count. */
export class Ledger extends RequestLedger<AccountNamed> {
  readonly effects: Effect[] = [];

  recordEffect(effect: Omit<Effect, "seq">): void {
    this.effects.push({ seq: this.effects.length + 1, ...effect });
  }

  /** Effects that match every field given. */
  effectsWhere(filter: EffectFilter = {}): Effect[] {
    return this.effects.filter((effect) => hasFields(effect, filter));
  }

  count(filter: EffectFilter = {}): number {
    return this.effectsWhere(filter).length;
  }

  override clear(): void {
    super.clear();
    this.effects.length = 0;
  }
}
