/** When a dependency is left alone for the rest of a run. */
export type BreakerLimits = {
  /** Failures in a row. */
  failures: number;
  /** Time in all that was waited for nothing, ms: the share of a run that one dependency may cost the others. */
  waitedMs: number;
};

/** How a run gets on with one dependency: once it does not answer, nothing more is asked of it in this run. */
export class Breaker {
  readonly #limits: BreakerLimits;
  #failures = 0;
  #waitedMs = 0;
  #isOpen = false;
  #pauseSeconds: number | undefined;

  constructor(limits: BreakerLimits) {
    this.#limits = limits;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How long the dependency asked to be left alone, seconds; undefined where it named no time. */
  get pauseSeconds(): number | undefined {
    return this.#pauseSeconds;
  }

  answered(): void {
    this.#failures = 0;
  }

  /** It did not answer, or with a failure of its own, after so long (ms). */
  failed(waitedMs: number): void {
    this.#failures += 1;
    this.#waitedMs += waitedMs;
    if (this.#failures >= this.#limits.failures || this.#waitedMs >= this.#limits.waitedMs) this.open();
  }

  /** It is not to be asked again in this run. */
  open(pauseSeconds?: number): void {
    this.#isOpen = true;
    this.#pauseSeconds = pauseSeconds ?? this.#pauseSeconds;
  }
}
