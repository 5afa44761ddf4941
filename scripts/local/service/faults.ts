/** Which requests a fault hits. The path is as the SDK names it: `/v1/charges`, `/emails/batch`. */
export interface FaultMatch {
  method?: string;
  path?: string | RegExp;
}

/**
 * What can go wrong with any server:
 * - `reset`: the connection is cut, nothing is done.
 * - `reset-after-effect`: the work is done, then the connection is cut.
 * - `hang`: nothing is done, and the connection stays open for as long as the caller waits.
 * - `delay`: the work is done after a while (longer than the caller waits, and it is a timeout); the idempotency key
 *   is in progress until then.
 */
export type ConnectionFault =
  | { kind: "reset" }
  | { kind: "reset-after-effect" }
  | { kind: "hang" }
  | { kind: "delay"; milliseconds: number };

/** A fault as a test orders it; `Action` says what goes wrong. */
export interface Fault<Action> {
  match?: FaultMatch;
  action: Action;
  /** How many requests it hits; 1 where absent, Infinity until cleared. */
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
export class Faults<Action> {
  private active: Required<Fault<Action>>[] = [];

  add(fault: Fault<Action>): void {
    this.active.push({ match: {}, times: 1, skip: 0, ...fault });
  }

  /** The fault that hits this request, if any; counts it. */
  take(method: string, path: string): Action | undefined {
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
