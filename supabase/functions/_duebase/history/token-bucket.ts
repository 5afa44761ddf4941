/** The clock that waiting goes by; tests bring their own. Milliseconds. */
export type Clock = { now(): number; sleep(ms: number): Promise<void> };

/** The clock outside of tests. It never goes back, and says nothing of the time of day. */
export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/**
 * Calls a second that a run makes at Stripe, at the most. Stripe allows 25 a second to each endpoint, and in test mode 25
 * to all of them together, which webhooks' own reads need too. https://docs.stripe.com/rate-limits
 */
export const CALLS_PER_SECOND = { live: 25, test: 15 } as const;

/** Lets so many calls a second through, and as many at once after a rest. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(perSecond: number, clock: Clock = REAL_CLOCK) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#tokens = perSecond;
    this.#filledAt = clock.now();
  }

  /** Resolves when a call may be made. */
  async take(): Promise<void> {
    this.#fill();
    while (this.#tokens < 1) {
      await this.#clock.sleep(Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000));
      this.#fill();
    }
    this.#tokens -= 1;
  }

  #fill(): void {
    const now = this.#clock.now();
    const gained = ((now - this.#filledAt) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + gained);
    this.#filledAt = now;
  }
}
