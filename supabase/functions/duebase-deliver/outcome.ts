import type { Failure } from "../_duebase/outbox.ts";

/** What came of performing an effect. */
export type Outcome =
  | { is: "delivered" }
  | ({ is: "failed" } & Failure)
  /** Not tried, for a reason that is not its own. */
  | { is: "handed_back"; afterSeconds?: number };
