import { createHash } from "node:crypto";
import { ResendError } from "./errors.ts";

/** Resend forgets a key after this long (https://resend.com/docs/dashboard/emails/idempotency-keys). */
const lifetimeMilliseconds = 24 * 3600 * 1000;
const longestKey = 256;

/** The answer to the request that first used a key. */
export interface KeptAnswer {
  key: string;
  fingerprint: string;
  /** Milliseconds, by the inbox's clock. */
  at: number;
  body: string;
}

/**
 * Remembers what was answered under each idempotency key. Only successes are kept: a request that failed did
 * nothing, and may come again under the same key with its mistake mended.
 */
export class IdempotencyKeys {
  private readonly kept = new Map<string, KeptAnswer>();
  private readonly running = new Map<string, string>();

  /**
   * Start a request under a key.
   *
   * @param body the bytes as they came: Duebase promises the identical bytes on every try, so nothing less will do
   * @param now milliseconds
   * @returns what was answered the first time, or undefined if this is the first time
   * @throws {ResendError} 400 invalid_idempotency_key, 409 invalid_idempotent_request if the key came with another
   *   request, 409 concurrent_idempotent_requests if its first request is not done
   */
  begin(key: string, path: string, body: string, now: number): KeptAnswer | undefined {
    if (key.length < 1 || key.length > longestKey) {
      throw new ResendError(
        400,
        "invalid_idempotency_key",
        `An idempotency key has 1 to ${longestKey} characters; this one has ${key.length}.`,
      );
    }
    const fingerprint = createHash("sha256").update(`${path}\n${body}`).digest("hex");
    const stored = this.kept.get(key);
    const known = stored && now - stored.at < lifetimeMilliseconds ? stored : undefined;
    const earlier = known?.fingerprint ?? this.running.get(key);
    if (earlier !== undefined && earlier !== fingerprint) {
      throw new ResendError(
        409,
        "invalid_idempotent_request",
        `The idempotency key '${key}' was used with another payload within the last 24 hours.`,
      );
    }
    if (this.running.has(key)) {
      throw new ResendError(
        409,
        "concurrent_idempotent_requests",
        `The first request with the idempotency key '${key}' is still in progress.`,
      );
    }
    if (known) return known;
    this.running.set(key, fingerprint);
    return undefined;
  }

  /** The request succeeded: its answer is given to whoever comes with the key in the next 24 hours. */
  keep(key: string, body: string, now: number): KeptAnswer | undefined {
    const fingerprint = this.running.get(key);
    if (fingerprint === undefined) return undefined;
    const answer = { key, fingerprint, at: now, body };
    this.running.delete(key);
    this.kept.set(key, answer);
    return answer;
  }

  /** The request failed: the key is as good as new. */
  release(key: string): void {
    this.running.delete(key);
  }

  /** As when a day has gone by. */
  forget(): void {
    this.kept.clear();
  }

  /** Take over the answers of an earlier run. */
  restore(answers: KeptAnswer[]): void {
    for (const answer of answers) this.kept.set(answer.key, answer);
  }
}
