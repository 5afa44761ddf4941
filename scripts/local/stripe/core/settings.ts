import type { StripeEvent } from "./wire.ts";

/** What an account's dashboard would decide, and what tests may want to hurry. */
export interface Settings {
  /**
   * By which version's rules a caller asks who names none, as the CLI does: an account stays at the version it had
   * until it is upgraded. Objects have the newest shape all the same.
   */
  defaultVersion: string;
  /** Days from one failed automatic attempt to the next; after the last, `afterRetries` happens. */
  retryDays: number[];
  /** What becomes of a subscription whose invoice has used up its attempts. */
  afterRetries: "past_due" | "cancel" | "unpaid" | "pause";
  /** What becomes of a subscription when the first attempt to collect a renewal fails. */
  afterFirstFailure: "past_due" | "pause";
  /**
   * Whether a subscription that Stripe paused for a failed payment resumes when that invoice is paid or written off,
   * with a new period or in the old one.
   */
  resumeWhenPaid: "no" | "now" | "unchanged";
  /** Seconds a renewal's invoice stays a draft. */
  draftSeconds: number;
  /** Days before a renewal that `invoice.upcoming` is sent. */
  upcomingDays: number;
  /** Calls of one second that are answered; whatever is more gets 429. Null: there is no limit. */
  callsPerSecond: number | null;
  /**
   * What the account's own version makes of an event, in the newest shape: an event keeps the version and the shape it
   * was made with, whatever version is used to read it. Null: the newest.
   */
  eventShape: ((event: StripeEvent) => StripeEvent) | null;
  /** Seconds until a bank debit succeeds or fails. */
  debitSeconds: number;
}

/** Stripe's defaults, as far as they are known: up to 8 attempts within two weeks, then left past due. */
export const defaultSettings: Settings = {
  defaultVersion: "2026-08-26.dahlia",
  retryDays: [1, 2, 2, 2, 2, 2, 3],
  afterRetries: "past_due",
  afterFirstFailure: "past_due",
  resumeWhenPaid: "no",
  draftSeconds: 3600,
  upcomingDays: 7,
  debitSeconds: 1,
  callsPerSecond: null,
  eventShape: null,
};
