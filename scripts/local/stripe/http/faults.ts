import type { Fault as AnyFault, ConnectionFault } from "../../service/faults.ts";

/**
 * What goes wrong, besides what can go wrong with any server:
 * - `error`: this answer instead of the work. A 5xx is kept under the idempotency key, as Stripe keeps it.
 * - `error-after-effect`: the work is done, and the answer says otherwise.
 * - `forbidden`: the key is a restricted one that lacks a permission, such as `rak_invoice_read`; nothing is done.
 * - `slow-answer`: the work is done at once, and answered after a while: what is read is as old as the question.
 */
export type FaultAction =
  | ConnectionFault
  | { kind: "error"; status: number; code?: string; message?: string; headers?: Record<string, string> }
  | { kind: "forbidden"; permission: string }
  | { kind: "error-after-effect"; status: number; message?: string }
  | { kind: "slow-answer"; milliseconds: number };

/** A fault as a test of the local Stripe orders it. */
export type Fault = AnyFault<FaultAction>;
