import { createHash } from "node:crypto";
import { idempotencyError } from "./errors.ts";

/** Stripe may forget a key after this long. */
const lifetimeSeconds = 24 * 3600;

export interface StoredAnswer {
  key: string;
  fingerprint: string;
  at: number;
  status: number;
  body: string;
  requestId: string;
}

function fingerprintOf(method: string, path: string, body: string): string {
  return createHash("sha256").update(`${method}\n${path}\n${body}`).digest("hex");
}

/** Remembers the first answer to each idempotency key and gives it again. */
export class IdempotencyKeys {
  private readonly answers = new Map<string, StoredAnswer>();
  private readonly running = new Map<string, string>();

  /**
   * Start a request under a key.
   * @returns the answer it got the first time, or undefined if this is the first time
   * @throws 400 if the key came with other parameters, 409 if its first request is not done
   */
  begin(key: string, method: string, path: string, body: string, now: number): StoredAnswer | undefined {
    const fingerprint = fingerprintOf(method, path, body);
    const stored = this.answers.get(key);
    const known = stored && stored.at > now - lifetimeSeconds ? stored : undefined;
    const earlier = known?.fingerprint ?? this.running.get(key);
    if (earlier !== undefined && earlier !== fingerprint) {
      throw idempotencyError(
        400,
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    }
    if (this.running.has(key)) {
      throw idempotencyError(
        409,
        `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
        "idempotency_key_in_use",
      );
    }
    if (known) return known;
    this.running.set(key, fingerprint);
    return undefined;
  }

  /** End a request under a key; only an answer that Stripe would keep is given again. */
  finish(key: string, now: number, answer: { status: number; body: string; requestId: string } | null): void {
    const fingerprint = this.running.get(key);
    this.running.delete(key);
    if (fingerprint === undefined || answer === null) return;
    this.answers.set(key, { key, fingerprint, at: now, ...answer });
  }

  /** As when Stripe prunes keys after a day. */
  forget(): void {
    this.answers.clear();
  }

  dump(): StoredAnswer[] {
    return [...this.answers.values()];
  }

  restore(answers: StoredAnswer[]): void {
    for (const answer of answers) this.answers.set(answer.key, answer);
  }
}
