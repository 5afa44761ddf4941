import type { Fault as AnyFault, ConnectionFault } from "../../service/faults.ts";
import type { ErrorName } from "./errors.ts";

/**
 * What goes wrong, besides what can go wrong with any server:
 * - `error`: this answer instead of the work; `body` stands in for the JSON (a proxy's HTML page, say).
 * - `error-after-effect`: the mail goes out, and the answer says otherwise.
 * - `hang-after-effect`: the mail goes out, and no answer comes.
 * - `wait`: as `delay`, until a promise of the test's resolves.
 */
export type FaultAction =
  | ConnectionFault
  | {
      kind: "error";
      status: number;
      name?: ErrorName;
      message?: string;
      headers?: Record<string, string>;
      body?: string;
    }
  | { kind: "error-after-effect"; status: number; name?: ErrorName; message?: string }
  | { kind: "hang-after-effect" }
  | { kind: "wait"; until: Promise<unknown> };

/** A fault as a test of the inbox orders it. */
export type Fault = AnyFault<FaultAction>;
