import { beforeAll, expect, it } from "vitest";
import { SEED } from "../seed.ts";

/** Something that an invariant forbids, and that happened. */
export interface Breach {
  what: string;
}

/** What must hold of a run, whatever was drawn. Returns every breach of it. */
export type Invariant<Evidence, Found extends Breach> = (evidence: Evidence) => Found[];

/** A simulation: how it is played, what must hold, and how a breach is explained. */
export interface Simulated<Evidence, Found extends Breach> {
  /** Printed with its seed and its figures. */
  name: string;
  /** The environment variable that says how much is played. */
  variable: string;
  /** What that variable says, or the number that `npm test` plays. */
  number: number;
  /** Milliseconds that all of it may take. */
  timeout: number;
  invariants: Readonly<Record<string, Invariant<Evidence, Found>>>;
  /** Plays one run after the other. The invariants are checked on each before the next one begins. */
  play(): AsyncIterable<Evidence>;
  /** Which part of the run a breach is about, as it takes to play it again. */
  subjectOf(breach: Found, evidence: Evidence): string;
  /** Says more of a breach: the smallest run that has it, or all that happened. */
  explain(breach: Found, evidence: Evidence, invariant: string): Promise<string>;
  /** What is counted, for the line that is printed in the end. */
  figures(): object;
}

/** How many breaches of one invariant a failing test lists. */
const LISTED = 20;

/** Plays a simulation before the tests of a file or of a describe block, and has a test for each of its invariants. */
export class Player<Evidence, Found extends Breach> {
  readonly #simulated: Simulated<Evidence, Found>;
  readonly #breaches = new Map<string, string[]>();

  constructor(simulated: Simulated<Evidence, Found>) {
    this.#simulated = simulated;
  }

  /** Registers the playing. DUEBASE_SEED and the simulation's variable, as printed, play the same again. */
  playBeforeAll(): void {
    const { name, variable, number, timeout, play, figures } = this.#simulated;
    beforeAll(async () => {
      const startedAt = performance.now();
      console.log(`${name}: DUEBASE_SEED=${SEED} ${variable}=${number}`);
      for await (const evidence of play()) await this.#check(evidence);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${name}: ${JSON.stringify({ ...figures(), seconds })}`);
    }, timeout);
  }

  /** Registers a test for each of the invariants named. */
  testInvariants(names: readonly string[] = Object.keys(this.#simulated.invariants)): void {
    it.each(names)("%s", (name) => {
      expect((this.#breaches.get(name) ?? []).slice(0, LISTED)).toEqual([]);
    });
  }

  async #check(evidence: Evidence): Promise<void> {
    const { invariants, subjectOf, explain } = this.#simulated;
    for (const [name, invariant] of Object.entries(invariants)) {
      const found = invariant(evidence);
      const [first] = found;
      if (first === undefined) continue;
      const before = this.#breaches.get(name);
      const lines = found.map((breach) => `${subjectOf(breach, evidence)}: ${breach.what}`);
      this.#breaches.set(name, [...(before ?? []), ...lines]);
      // The first breach of an invariant is explained. The others mostly have the same cause.
      if (before === undefined)
        console.log(
          `${name}: ${found.length} breaches, of which the first is\n${lines[0]}\n${await explain(first, evidence, name)}`,
        );
    }
  }
}
