import { StripeCallError } from "../_duebase/errors.ts";
import type { StripeIdentity } from "../_duebase/outbox.ts";
import type { CallStripe, StripeAnswer, StripeRequest } from "../_duebase/stripe.ts";
import { Breaker, type BreakerLimits } from "./breaker.ts";

/** A request on behalf of the account that the project mirrors, which need not be named. */
export type OwnRequest = Omit<StripeRequest, "account">;

/** How Stripe's objects are found that a key of the right account and mode must find. */
const WITNESS_PATHS: Record<string, string> = { subscription: "subscriptions", customer: "customers" };

/** How long Stripe is left alone after a wrong key, which the operator has to replace; seconds. */
const WRONG_KEY_PAUSE_SECONDS = 300;

/**
 * One run's way to Stripe. Before the first call it makes sure that the key is of the account and mode that the
 * project mirrors; every call names the connected account where there is one; and once Stripe does not answer, or
 * asks to be left alone, no more calls are made.
 */
export class StripeAccess {
  readonly #call: CallStripe;
  readonly #readIdentity: () => Promise<StripeIdentity>;
  readonly #keyMode: "live" | "test" | undefined;
  readonly #breaker: Breaker;
  #account: string | undefined;
  #isChecked = false;
  #isProven = false;

  constructor(parts: {
    call: CallStripe;
    readIdentity: () => Promise<StripeIdentity>;
    /** The mode that the key's prefix tells. */
    keyMode: "live" | "test" | undefined;
    limits: BreakerLimits;
  }) {
    this.#call = parts.call;
    this.#readIdentity = parts.readIdentity;
    this.#keyMode = parts.keyMode;
    this.#breaker = new Breaker(parts.limits);
  }

  /** Whether calls may still be made in this run. */
  get mayCall(): boolean {
    return !this.#breaker.isOpen;
  }

  /** Seconds after which Stripe may be called again, where it named a time. */
  get pauseSeconds(): number | undefined {
    return this.#breaker.pauseSeconds;
  }

  /** Whether the key has found an object that an event of Stripe named. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** Rejects with a StripeCallError, and with whatever the database rejects with when it cannot say who we are. */
  async call(request: OwnRequest): Promise<StripeAnswer> {
    if (!this.#isChecked) {
      await this.#check();
      this.#isChecked = true;
    }
    return await this.#ask(request);
  }

  async #ask(request: OwnRequest): Promise<StripeAnswer> {
    const startedAt = performance.now();
    try {
      const answer = await this.#call({ ...request, account: this.#account });
      this.#breaker.answered();
      return answer;
    } catch (error) {
      if (error instanceof StripeCallError) this.#note(error, performance.now() - startedAt);
      throw error;
    }
  }

  #note(error: StripeCallError, waitedMs: number): void {
    const { status } = error;
    if (status === 429 || status === 401) this.#breaker.open(error.retryAfterSeconds);
    else if (status === undefined || status >= 500) this.#breaker.failed(waitedMs);
    else this.#breaker.answered();
  }

  /**
   * The account and mode of the key, told by objects that Stripe itself told this project of and never deletes. It
   * needs no permission but those that duebase-deliver needs anyway, and an empty account does not pass. Where nothing is
   * known yet that the key could be tried on, or it may not look, calls are made and nothing is taken for deleted.
   */
  async #check(): Promise<void> {
    const { livemode, account, witnesses } = await this.#readIdentity();
    this.#account = account ?? undefined;
    const mode = livemode ? "live" : "test";
    if (this.#keyMode !== undefined && this.#keyMode !== mode) {
      throw this.#wrongKey(
        "wrong_mode",
        `DUEBASE_STRIPE_SECRET_KEY is a ${this.#keyMode} key, and billing.settings.livemode says that this project mirrors ${mode} mode.`,
      );
    }
    const missing: string[] = [];
    for (const { object, id } of witnesses) {
      const found = await this.#find(object, id);
      if (found === "found") {
        this.#isProven = true;
        return;
      }
      if (found === "missing") missing.push(id);
    }
    const [first] = missing;
    if (first === undefined) return;
    throw this.#wrongKey(
      "wrong_account",
      `DUEBASE_STRIPE_SECRET_KEY does not find ${first}, of which Stripe has told this project: it is of another account, or of the other mode.`,
    );
  }

  async #find(object: string, id: string): Promise<"found" | "missing" | "unknown"> {
    const resource = WITNESS_PATHS[object];
    if (resource === undefined) return "unknown";
    try {
      await this.#ask({ method: "GET", path: `/v1/${resource}/${encodeURIComponent(id)}` });
      return "found";
    } catch (error) {
      if (!(error instanceof StripeCallError)) throw error;
      if (error.status === 404) return "missing";
      // A restricted key that may not read these; where it may not act for the account at all, its calls say so.
      if (error.status === 403) return "unknown";
      throw error;
    }
  }

  #wrongKey(code: "wrong_account" | "wrong_mode", message: string): StripeCallError {
    this.#breaker.open(WRONG_KEY_PAUSE_SECONDS);
    return new StripeCallError({ code, message: `${message} Nothing was read or done.` });
  }
}
