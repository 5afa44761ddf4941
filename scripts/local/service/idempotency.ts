import { createHash } from "node:crypto";
import type { ApiError } from "./api-error.ts";

/** What an API promises of its idempotency keys. */
export interface KeyRules {
  /** A key is forgotten after this long, in the unit in which the time is told. */
  lifetime: number;
  /** What it says to a key that comes with another request than the first. */
  otherRequest(key: string): ApiError;
  /** What it says to a key whose first request is not done. */
  inProgress(key: string): ApiError;
}

/** The answer to the request that first used a key. */
export type KeptAnswer<Answer> = Answer & {
  key: string;
  /** Of the request. */
  fingerprint: string;
  /** When it was given, in the rules' unit. */
  at: number;
};

/** Remembers the first answer to each idempotency key and gives it again. */
export class IdempotencyKeys<Answer extends object> {
  private readonly rules: KeyRules;
  private readonly kept = new Map<string, KeptAnswer<Answer>>();
  private readonly running = new Map<string, string>();

  constructor(rules: KeyRules) {
    this.rules = rules;
  }

  /**
   * Start a request under a key.
   *
   * @param request what makes it the same request: its path and its bytes as they came
   * @returns what was answered the first time, or undefined if this is the first time
   * @throws {ApiError} if the key came with another request, or its first request is not done
   */
  begin(key: string, request: string[], now: number): KeptAnswer<Answer> | undefined {
    const fingerprint = createHash("sha256").update(request.join("\n")).digest("hex");
    const stored = this.kept.get(key);
    const known = stored && now - stored.at < this.rules.lifetime ? stored : undefined;
    const earlier = known?.fingerprint ?? this.running.get(key);
    if (earlier !== undefined && earlier !== fingerprint) throw this.rules.otherRequest(key);
    if (this.running.has(key)) throw this.rules.inProgress(key);
    if (known) return known;
    this.running.set(key, fingerprint);
    return undefined;
  }

  /** The request is done: its answer is given to whoever comes with the key from now on. */
  keep(key: string, answer: Answer, now: number): KeptAnswer<Answer> | undefined {
    const fingerprint = this.running.get(key);
    if (fingerprint === undefined) return undefined;
    const kept = { key, fingerprint, at: now, ...answer };
    this.running.delete(key);
    this.kept.set(key, kept);
    return kept;
  }

  /** The request did nothing: the key is as good as new. */
  release(key: string): void {
    this.running.delete(key);
  }

  /** As when the lifetime of all keys has gone by. */
  forget(): void {
    this.kept.clear();
  }

  dump(): KeptAnswer<Answer>[] {
    return [...this.kept.values()];
  }

  /** Take over the answers of an earlier run. */
  restore(answers: KeptAnswer<Answer>[]): void {
    for (const answer of answers) this.kept.set(answer.key, answer);
  }
}
