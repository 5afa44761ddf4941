import type { PostAlert } from "../_duebase/alert-webhook.ts";
import type { ReachPoint } from "../_duebase/crash-points.ts";
import type { Logger } from "../_duebase/log.ts";
import type { DunningCount, Outbox } from "../_duebase/outbox.ts";
import { LARGEST_BATCH, type SendMails } from "../_duebase/resend.ts";
import type { CallStripe, StripeAnswer } from "../_duebase/stripe.ts";
import { Breaker } from "./breaker.ts";
import { type OwnRequest, StripeAccess } from "./stripe-access.ts";

/** What one run may spend. */
export type Budget = {
  /** Of wall clock, ms: under the minute after which the next tick comes. */
  wallMs: number;
  /** Of rendering, ms: most of the CPU time a run takes; the platform allows 2 s in all. */
  renderMs: number;
  /** Of a claim's lease, seconds. */
  leaseSeconds: number;
  /** Rows of one claim. */
  claimLimit: number;
  /** Mails handed to Resend: keeping and sending one costs about a millisecond of CPU time. */
  mails: number;
  /** Least time between two requests to Resend, ms. */
  sendIntervalMs: number;
};

export const DEFAULT_BUDGET: Budget = {
  wallMs: 50_000,
  renderMs: 1_000,
  leaseSeconds: 120,
  // As many as go to Resend in one batch.
  claimLimit: LARGEST_BATCH,
  mails: 500,
  // Two a second, the smallest limit an account has had. https://resend.com/docs/api-reference/introduction
  sendIntervalMs: 500,
};

/** The longest a single effect may take: no effect is begun with less of the lease left. */
const LONGEST_EFFECT_MS = 45_000;
/** After so many failures in a row that are not an effect's own, who was asked is left alone until the next run. */
const LEFT_ALONE_AFTER = 3;
/** Of the run's wall clock: what waiting in vain for one dependency may cost the others, and the length of a turn. */
const WAITING_SHARE = 0.3;
const TURN_SHARE = 0.2;

export type Ending = "delivered" | "failed" | "dead" | "handed_back" | "lost" | "set_aside";

/** One run of duebase-deliver: what it works with, what it has spent, and what came of it. */
export class Run {
  readonly outbox: Outbox;
  readonly sendMails: SendMails;
  readonly stripe: StripeAccess;
  readonly postAlert: PostAlert;
  readonly reach: ReachPoint;
  readonly log: Logger;
  readonly budget: Budget;
  readonly counts: Record<Ending, number> = {
    delivered: 0,
    failed: 0,
    dead: 0,
    handed_back: 0,
    lost: 0,
    set_aside: 0,
  };
  /** What was done about overdue payments. */
  readonly dunning: Record<DunningCount, number> = {
    opened: 0,
    closed: 0,
    mails: 0,
    ends: 0,
    held: 0,
    ended: 0,
    called_off: 0,
  };
  readonly #startedAt = performance.now();
  #leaseEndsAt = 0;
  #renderedMs = 0;
  #sentMails = 0;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  #turnEndsAt = Number.POSITIVE_INFINITY;
  readonly #resend: Breaker;
  readonly #alertWebhook: Breaker;

  constructor(parts: {
    outbox: Outbox;
    sendMails: SendMails;
    callStripe: CallStripe;
    /** The mode that the Stripe key's prefix tells. */
    keyMode?: "live" | "test" | undefined;
    postAlert: PostAlert;
    reach: ReachPoint;
    log: Logger;
    budget: Budget;
  }) {
    this.outbox = parts.outbox;
    this.sendMails = parts.sendMails;
    this.postAlert = parts.postAlert;
    this.reach = parts.reach;
    this.log = parts.log;
    this.budget = parts.budget;
    const limits = { failures: LEFT_ALONE_AFTER, waitedMs: this.budget.wallMs * WAITING_SHARE };
    this.stripe = new StripeAccess({
      call: parts.callStripe,
      readIdentity: () => this.outbox.stripeIdentity(),
      keyMode: parts.keyMode,
      limits,
    });
    this.#resend = new Breaker(limits);
    this.#alertWebhook = new Breaker(limits);
  }

  /** Calls Stripe for the account that the project mirrors. Rejects as StripeAccess does. */
  callStripe(request: OwnRequest): Promise<StripeAnswer> {
    return this.stripe.call(request);
  }

  /** Counted from before the claim was asked for, so that ours ends before the database's. */
  leaseBegins(): void {
    this.#leaseEndsAt = performance.now() + this.budget.leaseSeconds * 1000;
  }

  /** Who is asked next takes a turn, so that one who is slow does not keep another waiting for the whole run. */
  turnBegins(): void {
    this.#turnEndsAt = performance.now() + this.budget.wallMs * TURN_SHARE;
  }

  /** Whether there is time to begin another effect, of the run, the turn and the lease. */
  get mayGoOn(): boolean {
    const effectMs = Math.min(LONGEST_EFFECT_MS, (this.budget.leaseSeconds * 1000) / 2);
    const now = performance.now();
    return this.mayClaim && now < this.#turnEndsAt && now + effectMs < this.#leaseEndsAt;
  }

  /** The same before anything is claimed. */
  get mayClaim(): boolean {
    const { wallMs, renderMs, mails } = this.budget;
    return (
      performance.now() - this.#startedAt < wallMs && this.#renderedMs < renderMs && this.#sentMails < mails
    );
  }

  /** Runs synchronous work and counts its time against the CPU budget. */
  render<T>(work: () => T): T {
    const startedAt = performance.now();
    try {
      return work();
    } finally {
      this.#renderedMs += performance.now() - startedAt;
    }
  }

  get maySend(): boolean {
    return !this.#resend.isOpen;
  }

  /** Resend is not to be asked again in this run. */
  stopSending(): void {
    this.#resend.open();
  }

  /** Whether the operator's webhook may still be asked in this run. */
  get mayPost(): boolean {
    return !this.#alertWebhook.isOpen;
  }

  stopPosting(): void {
    this.#alertWebhook.open();
  }

  /** Waits until Resend may be asked again, for so many mails. */
  async pace(mails = 1): Promise<void> {
    this.#sentMails += mails;
    const wait = this.#lastSentAt + this.budget.sendIntervalMs - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#lastSentAt = performance.now();
  }

  /** Keeps count of requests that failed for reasons of Resend's own, after so long (ms). */
  sendAnswered(answered: boolean, durationMs: number): void {
    if (answered) this.#resend.answered();
    else this.#resend.failed(durationMs);
  }
}
