import { DatabaseUnavailableError } from "../_duebase/errors.ts";

/** Runs work once its turn has come; rejects with what the work rejects with, or when no turn came. */
export type TakeTurn = <Result>(turn: string | undefined, work: () => Promise<Result>) => Promise<Result>;

/** The database projects events of one customer or object in turn: more at once would only hold its connections. */
export const EVENTS_AT_ONCE = 3;

/** Stripe's patience with an answer is some ten seconds longer. */
const PATIENCE_MS = 7_000;

type Lane = { running: number; waiting: (() => void)[] };

/**
 * Lets a few events of one customer or object at a time into the database, so that two hundred of them leave
 * connections for everybody else's. Where no turn comes in time, nothing was stored, and Stripe is asked to send again (503).
 */
export function createTurns(atOnce = EVENTS_AT_ONCE, patienceMs = PATIENCE_MS): TakeTurn {
  const lanes = new Map<string, Lane>();
  return async (turn, work) => {
    if (turn === undefined) return await work();
    const lane = lanes.get(turn) ?? { running: 0, waiting: [] };
    lanes.set(turn, lane);
    if (lane.running < atOnce) lane.running++;
    else await nextTurn(lane, patienceMs);
    try {
      return await work();
    } finally {
      const next = lane.waiting.shift();
      if (next) next();
      else if (--lane.running === 0) lanes.delete(turn);
    }
  };
}

/** Resolves when one of the lane's running events hands its turn on. */
function nextTurn(lane: Lane, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const come = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      lane.waiting.splice(lane.waiting.indexOf(come), 1);
      reject(
        new DatabaseUnavailableError({
          reason: "Events of the same customer or object came before it for too long.",
        }),
      );
    }, patienceMs);
    lane.waiting.push(come);
  });
}
