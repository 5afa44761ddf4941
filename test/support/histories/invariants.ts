import type { Breach, Invariant } from "../simulation/player.ts";
import type { Account } from "./account.ts";
import { caseUntruths, givenCardUntruths } from "./dunning-truth.ts";
import type { Play } from "./play.ts";
import { resumptionUntruths } from "./resumption-truth.ts";
import { difference } from "./state.ts";
import { askedAbout, untruths } from "./truth-check.ts";

/** The run in the true order, without repetition. */
export const IN_ORDER = 0;

/** A history that one run left in a state it must not be in. */
export interface HistoryBreach extends Breach {
  /** Its place among those played. */
  history: number;
  run: number;
}
export type HistoryInvariant = Invariant<Play, HistoryBreach>;

/** What one run made of one history, and should not have; a line each. */
type Check = (account: Account, history: number, run: number, played: Play) => string[];

/** One breach for each line that a check finds. */
function holding(run: number, check: Check): HistoryInvariant {
  return (played) =>
    played.histories.flatMap(({ account }, history) =>
      check(account, history, run, played).map((what) => ({ history, run, what })),
    );
}

/** What must hold of the state after each run. */
const AFTER_EACH_RUN: Readonly<Record<string, Check>> = {
  "is true at Stripe, or Stripe is asked": (account, history, run, played) =>
    untruths(account, played.stateOf(run, history), played.askedOf(run, history)),
  "is all true at Stripe once Stripe has answered": (account, history, run, played) =>
    untruths(account, played.finalStateOf(run, history), gone(account, played.askedOf(run, history))),
  "opens a dunning case for every debt, and for nothing else": (account, history, run, played) =>
    caseUntruths(
      account,
      played.finalStateOf(run, history),
      askedAbout(account, gone(account, played.askedOf(run, history))),
      played.ranAt,
    ),
  "plans to resume what was paused for a debt that is paid, and nothing else": (
    account,
    history,
    run,
    played,
  ) =>
    resumptionUntruths(
      account,
      played.finalStateOf(run, history),
      askedAbout(account, gone(account, played.askedOf(run, history))),
      played.ranAt,
    ),
  "keeps every card that was given, at either level, and when": (account, history, run, played) =>
    givenCardUntruths(account, played.stateOf(run, history)),
  "is read from Stripe wherever nobody can tell what came last": (account, history, run, played) =>
    [...account.isUnclear].filter(
      (second) => isLastTold(account, second) && !played.askedOf(run, history).has(second),
    ),
};

/** What must hold of the state after runs, by name. */
export function stateInvariants(runs: readonly number[]): Record<string, HistoryInvariant> {
  const afterEach = Object.entries(AFTER_EACH_RUN).flatMap(([name, check]) =>
    runs.map((run) => [`${name} (run ${run})`, holding(run, check)] as const),
  );
  return {
    ...Object.fromEntries(afterEach),
    "is not read from Stripe where the events tell it, as long as they come in order": holding(
      IN_ORDER,
      (account, history, run, played) =>
        [...played.askedOf(run, history)].filter((second) => !account.mayBeUnclear.has(second)),
    ),
  };
}

/** Each history ends in the state that it has after the run in the true order; one breach for each that does not. */
export function sameStateAs(run: number): HistoryInvariant {
  return (played) =>
    played.histories.flatMap((_, history) => {
      const lines = difference(played.stateOf(IN_ORDER, history), played.stateOf(run, history));
      return lines.length > 0 ? [{ history, run, what: lines.join("\n") }] : [];
    });
}

/** Whether an object's last event is of this second, and nobody has read the object since. */
export function isLastTold(account: Account, second: string): boolean {
  const [id = "", time] = second.split(" ");
  return account.lastTold.get(id) === Number(time) && !((account.readAt.get(id) ?? 0) > Number(time));
}

/** The reads of Stripe of which the answer is only that the object is deleted. */
function gone(account: Account, asked: Set<string>): Set<string> {
  return new Set([...asked].filter((second) => isGone(account, second.split(" ")[0] ?? "")));
}

function isGone(account: Account, id: string): boolean {
  return account.deletedAt.has(id) && account.get(id).object !== "subscription";
}
