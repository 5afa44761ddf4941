/** What a request is told of the limit it runs under. */
export interface Allowance {
  allowed: boolean;
  headers: Record<string, string>;
}

const windowMilliseconds = 1000;

/**
 * Counts requests in windows of one second of real time, each opened by the first request after the last one, and
 * says so in the headers Resend has (https://resend.com/docs/api-reference/introduction).
 */
export class RateLimit {
  private readonly perSecond: number;
  private readonly elapsed: () => number;
  private openedAt = Number.NEGATIVE_INFINITY;
  private used = 0;

  /**
   * @param perSecond requests a second; Infinity sets no limit and sends no headers
   * @param elapsed milliseconds that only go forward
   */
  constructor(perSecond: number, elapsed: () => number = () => performance.now()) {
    this.perSecond = perSecond;
    this.elapsed = elapsed;
  }

  /** Count one request. */
  take(): Allowance {
    const at = this.elapsed();
    if (this.perSecond === Number.POSITIVE_INFINITY) return { allowed: true, headers: {} };
    if (at - this.openedAt >= windowMilliseconds) {
      this.openedAt = at;
      this.used = 0;
    }
    const allowed = this.used < this.perSecond;
    if (allowed) this.used += 1;
    const reset = Math.max(1, Math.ceil((this.openedAt + windowMilliseconds - at) / 1000));
    return {
      allowed,
      headers: {
        "ratelimit-policy": `${this.perSecond};w=1`,
        "ratelimit-limit": String(this.perSecond),
        "ratelimit-remaining": String(this.perSecond - this.used),
        "ratelimit-reset": String(reset),
        ...(allowed ? {} : { "retry-after": String(reset) }),
      },
    };
  }
}
