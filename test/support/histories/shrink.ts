import type { TestDatabase } from "../database.ts";
import type { Step } from "./account.ts";
import { deliverInSequence, runMinutelyJobs } from "./delivery.ts";
import { difference, readStates } from "./state.ts";

/**
 * Leaves out what two orders can do without and still end differently, and describes what remains: what to read
 * when any order should have led to one state.
 *
 * @param first one order of the steps
 * @param second another order of the same, possibly with repetitions
 */
export async function shrink(database: TestDatabase, first: Step[], second: Step[]): Promise<string> {
  const sql = database.connect();
  let tries = 0;
  const differences = async (kept: Set<unknown>) => {
    const tags = [tagOf(tries++), tagOf(tries++)];
    const [one = "", other = ""] = tags;
    const of = (order: Step[]) => order.filter((step) => kept.has(subjectOf(step)));
    await deliverInSequence(sql, { tag: one, steps: of(first) });
    await deliverInSequence(sql, { tag: other, steps: of(second) });
    await runMinutelyJobs(sql);
    const states = await readStates(sql, tags);
    return difference(states.get(one), states.get(other));
  };

  let kept = new Set<unknown>(first.map(subjectOf));
  if ((await differences(kept)).length === 0)
    return "one by one both orders end the same: it takes parallel delivery";
  for (let size = Math.ceil(kept.size / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.size; ) {
      const all = [...kept];
      const fewer = new Set([...all.slice(0, from), ...all.slice(from + size)]);
      if (fewer.size > 0 && (await differences(fewer)).length > 0) kept = fewer;
      else from += size;
    }
  }
  const told = (order: Step[]) =>
    order
      .filter((step) => kept.has(subjectOf(step)))
      .map(describe)
      .join("\n  ");
  return [
    `in this order:\n  ${told(first)}`,
    `and in this:\n  ${told(second)}`,
    `differs (- first, + second):\n  ${(await differences(kept)).join("\n  ")}`,
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
