import { shrink } from "../simulation/shrinker.ts";
import { gather, type Invariant } from "./evidence.ts";
import type { FaultKind } from "./faults.ts";
import { planCustomer } from "./plan.ts";
import { Simulation, type SimulationSettings } from "./simulation.ts";
import { timelineOf } from "./timeline.ts";

/** Each try plays a month and a half of one customer, which takes some seconds. */
const TRIES = 40;

/** What can be left out: a kind of fault, or an action by its place in the customer's plan. */
type Part = FaultKind | number;

/**
 * Finds the fewest actions and kinds of faults with which one customer, alone in a world, breaks an invariant.
 *
 * @param index of the customer
 * @returns what it takes and the timeline of that run; undefined where the customer alone does not break it
 */
export async function customerCounterexample(
  { seed, faults, hasTeams = false }: SimulationSettings,
  index: number,
  invariant: Invariant,
): Promise<string | undefined> {
  const { actions } = planCustomer(seed, index, faults);
  const found = await shrink<Part, { what: string; timeline: string }>({
    parts: [...faults, ...actions.keys()],
    tries: TRIES,
    play: async (kept) => {
      const parts = [...kept];
      const simulation = await Simulation.play({
        seed,
        customers: [index],
        hasTeams,
        faults: new Set(parts.filter((part) => typeof part === "string")),
        actions: new Set(parts.filter((part) => typeof part === "number")),
      });
      try {
        const [first] = invariant(await gather(simulation));
        const [customer] = simulation.customers;
        if (first === undefined || customer === undefined) return undefined;
        return { what: first.what, timeline: await timelineOf(simulation, customer) };
      } finally {
        await simulation.close();
      }
    },
  });
  if (found === undefined) return undefined;
  const parts = [...found.kept].map((part) => (typeof part === "string" ? part : actions[part]?.kind));
  return `with nothing but ${parts.join(", ") || "the passing of time"}: ${found.failure.what}\n${found.failure.timeline}`;
}
