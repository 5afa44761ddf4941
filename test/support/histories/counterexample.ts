import type { TestDatabase } from "../database.ts";
import { shrink } from "../simulation/shrinker.ts";
import type { Step } from "./account.ts";
import { deliverInSequence, runMinutelyJobs } from "./delivery.ts";
import { difference, readStates } from "./state.ts";

/** Far more than a history takes: some of them have two hundred steps. */
const TRIES = 2000;

/**
 * Finds the fewest steps of a history that lead to different states in two orders, and describes them: what to read when
 * any order should have led to one state.
 *
 * @param first one order of the steps
 * @param second another order of the same, possibly with repetitions
 */
export async function orderCounterexample(
  database: TestDatabase,
  first: Step[],
  second: Step[],
): Promise<string> {
  const sql = database.connect();
  let played = 0;
  const keep = (order: Step[], kept: ReadonlySet<unknown>) =>
    order.filter((step) => kept.has(subjectOf(step)));
  const found = await shrink<unknown, string[]>({
    parts: [...new Set(first.map(subjectOf))],
    tries: TRIES,
    play: async (kept) => {
      const [one, other] = [tagOf(played++), tagOf(played++)];
      await deliverInSequence(sql, { tag: one, steps: keep(first, kept) });
      await deliverInSequence(sql, { tag: other, steps: keep(second, kept) });
      await runMinutelyJobs(sql);
      const states = await readStates(sql, [one, other]);
      const lines = difference(states.get(one), states.get(other));
      return lines.length > 0 ? lines : undefined;
    },
  });
  if (found === undefined) return "one by one both orders end the same: it takes parallel delivery";
  const list = (order: Step[]) => keep(order, found.kept).map(describe).join("\n  ");
  return [
    `in this order:\n  ${list(first)}`,
    `and in this:\n  ${list(second)}`,
    `differs (- first, + second):\n  ${found.failure.join("\n  ")}`,
  ].join("\n");
}

/** What stands for a step in every order: an event that is withheld in one, and its replay, are the event. */
function subjectOf(step: Step): unknown {
  if (step.kind === "event") return step.event.id;
  return step.kind === "replay" ? step.id : step;
}

const tagOf = (attempt: number) => `e${attempt.toString(16).padStart(7, "0")}`;

function describe(step: Step): string {
  if (step.kind === "signUp") return `sign-up of ${step.userId}`;
  if (step.kind === "read") return `read of ${step.object.id} at ${step.at}`;
  if (step.kind === "replay") return `replay of ${step.id}`;
  const { id, type, created, data } = step.event;
  const previous = data.previous_attributes ? ` previous ${JSON.stringify(data.previous_attributes)}` : "";
  return `${id} ${created} ${type} ${data.object.id}${previous}${step.isWithheld ? " quarantined" : ""}`;
}
