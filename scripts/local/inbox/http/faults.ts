import type { ErrorName } from "./errors.ts";

/** Which requests a fault hits. The path is as the SDK names it: `/emails`, `/emails/batch`. */
export interface FaultMatch {
  method?: string;
  path?: string | RegExp;
}

/**
 * What goes wrong:
 * - `error`: this answer instead of the work; `body` stands in for the JSON (a proxy's HTML page, say).
 * - `error-after-effect`: the mail goes out, and the answer says otherwise.
 * - `reset`: the connection is cut, nothing is done.
 * - `reset-after-effect`: the mail goes out, then the connection is cut.
 * - `hang`: no answer and nothing done, until the caller gives up.
 * - `hang-after-effect`: the mail goes out, and no answer comes.
 * - `delay`: the work is done after a while; the idempotency key is in progress until then.
 * - `wait`: the same, until a promise of the test's resolves.
 */
export type FaultAction =
  | {
      kind: "error";
      status: number;
      name?: ErrorName;
      message?: string;
      headers?: Record<string, string>;
      body?: string;
    }
  | { kind: "error-after-effect"; status: number; name?: ErrorName; message?: string }
  | { kind: "reset" }
  | { kind: "reset-after-effect" }
  | { kind: "hang" }
  | { kind: "hang-after-effect" }
  | { kind: "delay"; milliseconds: number }
  | { kind: "wait"; until: Promise<unknown> };

export interface Fault {
  match?: FaultMatch;
  action: FaultAction;
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
