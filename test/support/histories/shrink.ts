import type { TestDatabase } from "../database.ts";
import type { Happening } from "./account.ts";
import { deliverInSequence, runMinutelyJobs } from "./delivery.ts";
import { difference, readStates } from "./state.ts";

/**
 * Leaves out what two orders can do without and still end differently, and describes what remains: what to read
 * when any order should have led to one state.
 *
 * @param first one order of the happenings
 * @param second another order of the same, possibly with repetitions
 */
export async function shrink(
  database: TestDatabase,
  first: Happening[],
  second: Happening[],
): Promise<string> {
  const sql = database.connect();
  let tries = 0;
  const differences = async (kept: Set<unknown>) => {
    const tags = [tagOf(tries++), tagOf(tries++)];
    const [one = "", other = ""] = tags;
    const of = (order: Happening[]) => order.filter((happening) => kept.has(subjectOf(happening)));
    await deliverInSequence(sql, { tag: one, happenings: of(first) });
    await deliverInSequence(sql, { tag: other, happenings: of(second) });
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
  const told = (order: Happening[]) =>
    order
      .filter((happening) => kept.has(subjectOf(happening)))
      .map(describe)
      .join("\n  ");
  return [
    `in this order:\n  ${told(first)}`,
    `and in this:\n  ${told(second)}`,
    `differs (- first, + second):\n  ${(await differences(kept)).join("\n  ")}`,
  ].join("\n");
}

/** What stands for a happening in every order: an event that is withheld in one, and its replay, are the event. */
function subjectOf(happening: Happening): unknown {
  if (happening.kind === "event") return happening.event.id;
  return happening.kind === "replay" ? happening.id : happening;
}

const tagOf = (attempt: number) => `e${attempt.toString(16).padStart(7, "0")}`;

function describe(happening: Happening): string {
  if (happening.kind === "signUp") return `sign-up of ${happening.userId}`;
  if (happening.kind === "read") return `read of ${happening.object.id} at ${happening.at}`;
  if (happening.kind === "replay") return `replay of ${happening.id}`;
  const { id, type, created, data } = happening.event;
  const previous = data.previous_attributes ? ` previous ${JSON.stringify(data.previous_attributes)}` : "";
  return `${id} ${created} ${type} ${data.object.id}${previous}${happening.isWithheld ? " quarantined" : ""}`;
}
