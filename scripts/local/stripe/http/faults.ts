/** Which requests a fault hits. */
export interface FaultMatch {
  method?: string;
  path?: string | RegExp;
}

/**
 * What goes wrong:
 * - `error`: this answer instead of the work. A 5xx is kept under the idempotency key, as Stripe keeps it.
 * - `error-after-effect`: the work is done, and the answer says otherwise.
 * - `reset`: the connection is cut, nothing is done.
 * - `reset-after-effect`: the work is done, then the connection is cut.
 * - `delay`: the work is done after a while (longer than the caller waits, and it is a timeout).
 * - `slow-answer`: the work is done at once, and answered after a while: what is read is as old as the question.
 * - `hang`: nothing is done, and the connection stays open for as long as the caller waits.
 */
export type FaultAction =
  | { kind: "error"; status: number; code?: string; message?: string; headers?: Record<string, string> }
  | { kind: "error-after-effect"; status: number; message?: string }
  | { kind: "reset" }
  | { kind: "reset-after-effect" }
  | { kind: "delay"; milliseconds: number }
  | { kind: "slow-answer"; milliseconds: number }
  | { kind: "hang" };

export interface Fault {
  match?: FaultMatch;
  action: FaultAction;
  /** How many requests it hits; 1 where absent. */
  times?: number;
  /** How many matching requests are let through first. */
  skip?: number;
}

function matches(match: FaultMatch, method: string, path: string): boolean {
  if (match.method !== undefined && match.method !== method) return false;
  if (match.path === undefined) return true;
  return typeof match.path === "string" ? match.path === path : match.path.test(path);
}

/** Faults that tests have ordered, in the order they were ordered. */
export class Faults {
  private active: Required<Fault>[] = [];

  add(fault: Fault): void {
    this.active.push({ match: {}, times: 1, skip: 0, ...fault });
  }

  /** The fault that hits this request, if any; counts it. */
  take(method: string, path: string): FaultAction | undefined {
    for (const fault of this.active) {
      if (fault.times <= 0 || !matches(fault.match, method, path)) continue;
      if (fault.skip > 0) {
        fault.skip -= 1;
        continue;
      }
      fault.times -= 1;
      return fault.action;
    }
    return undefined;
  }

  /** How many requests are still to be hit. */
  get pending(): number {
    return this.active.reduce((sum, fault) => sum + Math.max(0, fault.times), 0);
  }

  clear(): void {
    this.active = [];
  }
}
