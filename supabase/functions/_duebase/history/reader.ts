import { StripeCallError } from "../errors.ts";
import type { CallStripe, StripeAnswer } from "../stripe.ts";
import { type Clock, REAL_CLOCK, TokenBucket } from "./token-bucket.ts";

/** An object of Stripe's. */
export type StripeObject = Record<string, unknown> & { id: string; object: string };

/** One page of a list, newest first. */
export type Page = { data: StripeObject[]; hasMore: boolean; readAt: string };

/** The time that a piece of work has is over: the next piece goes on. */
export class OutOfTime extends Error {
  override readonly name = "OutOfTime";
}

/** What a reader needs. */
export type ReaderParts = {
  call: CallStripe;
  /** Connected account (acct_…) that is read, where it is one. */
  account?: string;
  callsPerSecond: number;
  clock?: Clock;
  /** By the clock, milliseconds: nothing is begun after it. Undefined: as long as it takes. */
  until?: number;
  /** Told of each wait that Stripe asked for, in seconds. */
  onWait?: (seconds: number, why: string) => void;
};

/** How often a call is repeated that Stripe did not answer, or answered with a failure of its own. */
const RETRIES = 5;
/** How often a call is repeated that was one too many for its second. */
const PATIENCE = 12;
const LONGEST_WAIT_SECONDS = 60;

/**
 * Reads at Stripe: one token bucket for all calls; what is one too many waits as long as Stripe says, or twice as long each
 * time; what Stripe does not answer is asked again. Makes no call that changes anything.
 */
export class StripeReader {
  readonly #parts: ReaderParts;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  #calls = 0;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? REAL_CLOCK;
    this.#bucket = new TokenBucket(parts.callsPerSecond, this.#clock);
  }

  /** How many calls Stripe answered since the last time this was asked. */
  takeCalls(): number {
    const calls = this.#calls;
    this.#calls = 0;
    return calls;
  }

  /**
   * One object or list.
   *
   * @throws StripeCallError as Stripe answered it; OutOfTime where the time is over before it can be asked
   */
  async read(path: string, params: Record<string, string> = {}): Promise<StripeAnswer> {
    for (let failures = 0; ; failures++) {
      this.#refuseWhenOver(0);
      await this.#bucket.take();
      try {
        const answer = await this.#parts.call({ method: "GET", path, params, account: this.#parts.account });
        this.#calls += 1;
        return answer;
      } catch (error) {
        if (!(error instanceof StripeCallError) || !mayRepeat(error, failures)) throw error;
        const seconds = Math.min(error.retryAfterSeconds ?? 2 ** Math.min(failures, 5), LONGEST_WAIT_SECONDS);
        this.#refuseWhenOver(seconds * 1000);
        this.#parts.onWait?.(seconds, error.message);
        await this.#clock.sleep(seconds * 1000);
      }
    }
  }

  /** One page of a list. Rejects as read does. */
  async page(path: string, params: Record<string, string>): Promise<Page> {
    const { object, asOf } = await this.read(path, params);
    if (!Array.isArray(object.data)) {
      throw new StripeCallError({
        code: "unreadable_answer",
        message: `Stripe's answer to ${path} is no list.`,
      });
    }
    return {
      data: object.data as StripeObject[],
      hasMore: object.has_more === true,
      readAt: new Date(asOf).toISOString(),
    };
  }

  #refuseWhenOver(waitMs: number): void {
    const { until } = this.#parts;
    if (until !== undefined && this.#clock.now() + waitMs >= until) throw new OutOfTime("the time is over");
  }
}

function mayRepeat({ status, code }: StripeCallError, failures: number): boolean {
  if (status === 429) return failures < PATIENCE;
  return (status === undefined || status >= 500 || status === 409) && code !== "unreadable_answer"
    ? failures < RETRIES
    : false;
}
