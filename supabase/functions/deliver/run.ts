import type { ReachPoint } from "../_shared/crash-points.ts";
import type { Logger } from "../_shared/log.ts";
import type { DunningCount, Outbox } from "../_shared/outbox.ts";
import { LARGEST_BATCH, type SendMails } from "../_shared/resend.ts";
import type { CallStripe } from "../_shared/stripe.ts";
import type { PostAlert } from "./effects/alert.ts";

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
/** After so many failures in a row that are not a mail's own, Resend is left alone until the next run. */
const SENDING_STOPS_AFTER = 3;

export type Ending = "delivered" | "failed" | "dead" | "handed_back" | "lost" | "set_aside";

/** One run of deliver: what it works with, what it has spent, and what came of it. */
export class Run {
  readonly outbox: Outbox;
  readonly sendMails: SendMails;
  readonly callStripe: CallStripe;
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
  #unansweredSends = 0;
  #sendingStopped = false;

  constructor(parts: {
    outbox: Outbox;
    sendMails: SendMails;
    callStripe: CallStripe;
    postAlert: PostAlert;
    reach: ReachPoint;
    log: Logger;
    budget: Budget;
  }) {
    this.outbox = parts.outbox;
    this.sendMails = parts.sendMails;
    this.callStripe = parts.callStripe;
    this.postAlert = parts.postAlert;
    this.reach = parts.reach;
    this.log = parts.log;
    this.budget = parts.budget;
  }

  /** Counted from before the claim was asked for, so that ours ends before the database's. */
  leaseBegins(): void {
    this.#leaseEndsAt = performance.now() + this.budget.leaseSeconds * 1000;
  }

  /** Whether there is time to begin another effect, of the run and of the lease. */
  get mayGoOn(): boolean {
    const effectMs = Math.min(LONGEST_EFFECT_MS, (this.budget.leaseSeconds * 1000) / 2);
    return this.mayClaim && performance.now() + effectMs < this.#leaseEndsAt;
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
    return !this.#sendingStopped;
  }

  /** Resend is not to be asked again in this run. */
  stopSending(): void {
    this.#sendingStopped = true;
  }

  /** Waits until Resend may be asked again, for so many mails. */
  async pace(mails = 1): Promise<void> {
    this.#sentMails += mails;
    const wait = this.#lastSentAt + this.budget.sendIntervalMs - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#lastSentAt = performance.now();
  }

  /** Keeps count of requests in a row that failed for reasons of Resend's own. */
  sendAnswered(answered: boolean): void {
    this.#unansweredSends = answered ? 0 : this.#unansweredSends + 1;
    if (this.#unansweredSends >= SENDING_STOPS_AFTER) this.stopSending();
  }
}
