import type { CallBilling } from "../database.ts";
import { DatabaseRefusal, DatabaseUnavailableError } from "../errors.ts";
import type { StripeObject } from "./reader.ts";
import type { Clock } from "./token-bucket.ts";

/** What a history run reads: all there is, the list of events, or what runs and is owed. */
export type RunKind = "backfill" | "events" | "comparison";

/** A step of a run, as `billing.history_steps` has it. */
export type StepState = {
  step: string;
  status: "waiting" | "running" | "done";
  cursor: string | null;
  pages: number;
  objects: number;
  applied: number;
  stale: number;
  failed: number;
};

/** A run, as `billing.history_state` answers it. */
export type RunState = {
  id: number;
  kind: RunKind;
  status: "running" | "complete" | "incomplete" | "stopped";
  livemode: boolean;
  reads_since: string | null;
  account: string | null;
  events_from: string;
  calls: number;
  started_at: string;
  finished_at: string | null;
  problem: string | null;
  problems: number;
  steps: StepState[];
};

/** A page on its way to the database. */
export type HistoryPage = {
  objects: StripeObject[];
  readAt?: string;
  /** Where the list goes on; undefined: as before. */
  cursor?: string;
  isLast?: boolean;
  /** Answered calls that led to it. */
  calls: number;
  /** Pages of Stripe's that it stands for. */
  pages: number;
  /** What was read and found otherwise than as objects, such as events. */
  seen?: number;
  found?: number;
};

/** What the database made of one object. */
type Outcome = "applied" | "stale" | "undecided" | "failed" | "left";

/** The most objects that the database takes at once. */
const MOST_OBJECTS = 100;
/** How often something is sent again whose locks were not free. */
const TRIES = 6;

/** Another runner has the lease by now. */
export function isLeaseLost(error: unknown): boolean {
  return error instanceof DatabaseRefusal && error.code === "history_lease_lost";
}

/** Speaks to the database for one runner: its lease, its run, and the pages it applies. */
export class HistoryStore {
  readonly #callBilling: CallBilling;
  readonly #clock: Clock;
  readonly #now: string | undefined;
  readonly #claim: string;
  readonly runId: number;

  /** @param now ISO 8601, where the database is to go by another clock than its own: only the local stack has one */
  constructor(parts: { callBilling: CallBilling; clock: Clock; claim: string; runId: number; now?: string }) {
    this.#callBilling = parts.callBilling;
    this.#clock = parts.clock;
    this.#claim = parts.claim;
    this.runId = parts.runId;
    this.#now = parts.now;
  }

  /** Applies a page, and moves the step's cursor once all of it is applied. */
  async apply(step: string, page: HistoryPage): Promise<void> {
    const rest = [...page.objects];
    let left: StripeObject[] = [];
    while (rest.length > MOST_OBJECTS) {
      left = left.concat(await this.#send(step, rest.splice(0, MOST_OBJECTS), page.readAt, {}));
    }
    const end = {
      cursor: page.cursor,
      is_last: page.isLast,
      calls: page.calls,
      pages: page.pages,
      seen: page.seen,
      found: page.found,
    };
    // What was left of an earlier part comes before the cursor.
    left = left.concat(await this.#send(step, rest, page.readAt, left.length === 0 ? end : {}));
    while (left.length > 0) {
      // What the time of a call did not suffice for goes together once more.
      const some = left.slice(0, MOST_OBJECTS);
      const others = left.slice(MOST_OBJECTS);
      const again = await this.#send(step, some, page.readAt, others.length === 0 ? end : {});
      if (again.length === 0 && others.length === 0) return;
      left = [...again, ...others];
      if (again.length === some.length) break;
    }
    if (left.length === 0) return;
    // What needs a transaction of its own, or whose locks are not free, goes alone.
    for (const object of left) await this.#send(step, [object], page.readAt, {});
    await this.#send(step, [], page.readAt, end);
  }

  /** Returns the objects that have to be sent alone. */
  async #send(
    step: string,
    objects: StripeObject[],
    readAt: string | undefined,
    end: Record<string, unknown>,
  ): Promise<StripeObject[]> {
    const args = {
      p_claim: this.#claim,
      p_run_id: this.runId,
      p_step: step,
      p_page: { objects, read_at: readAt, ...end },
      p_now: this.#now,
    };
    const outcomes = (await this.repeat(() =>
      this.#callBilling("apply_history", JSON.stringify(args)),
    )) as Outcome[];
    return objects.filter((_, index) => outcomes[index] === "left");
  }

  /** Once more where the database was busy: whatever is applied twice changes nothing. */
  async repeat<T>(call: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError) || tries === TRIES) throw error;
        await this.#clock.sleep(250 * 2 ** tries);
      }
    }
  }

  /** Notes what keeps the run from going on. */
  async noteProblem(problem: string): Promise<void> {
    await this.#callBilling(
      "note_history_problem",
      JSON.stringify({
        p_claim: this.#claim,
        p_run_id: this.runId,
        p_problem: problem.slice(0, 500),
        p_now: this.#now,
      }),
    );
  }

  async finish(problem?: string): Promise<RunState> {
    const args = { p_claim: this.#claim, p_run_id: this.runId, p_problem: problem, p_now: this.#now };
    return (await this.#callBilling("finish_history", JSON.stringify(args))) as unknown as RunState;
  }

  async ask<T>(
    name: "customers_to_entitle" | "unread_customers" | "unknown_events" | "uncompared_objects",
    args: Record<string, unknown>,
  ): Promise<T> {
    return (await this.repeat(() => this.#callBilling(name, JSON.stringify(args)))) as unknown as T;
  }

  /** Receives events by the door that every event takes. Returns how many were new. */
  async receive(events: StripeObject[]): Promise<number> {
    const send = (some: StripeObject[]) =>
      this.repeat(() =>
        this.#callBilling(
          "receive_missed_events",
          JSON.stringify({ p_run_id: this.runId, p_events: some, p_now: this.#now }),
        ),
      ) as unknown as Promise<string[]>;
    if (events.length === 0) return 0;
    const answers = await send(events);
    let received = answers.filter((answer) => answer !== "retry_single" && answer !== "duplicate").length;
    for (const [index, event] of events.entries()) {
      if (answers[index] !== "retry_single") continue;
      const [answer] = await send([event]);
      if (answer !== "duplicate") received += 1;
    }
    return received;
  }

  async recordNotFound(object: string, id: string): Promise<void> {
    const args = { p_claim: this.#claim, p_run_id: this.runId, p_object: object, p_id: id, p_now: this.#now };
    await this.#callBilling("record_object_not_found", JSON.stringify(args));
  }
}
