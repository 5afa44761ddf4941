/** A run that failed, and how to play it again without some of its parts. */
export interface FailedRun<Part, Failure> {
  parts: readonly Part[];
  /** Plays the run with these parts alone; undefined where it does not fail any more. */
  play(kept: ReadonlySet<Part>): Promise<Failure | undefined>;
  /** How often the run is played at most. */
  tries: number;
}

/** A small run that still fails: no single part can be left out, unless the tries ran out before. */
export interface Counterexample<Part, Failure> {
  kept: ReadonlySet<Part>;
  failure: Failure;
}

/**
 * Leaves out the parts that a run does not need in order to fail: first half of them at a time, then ever fewer.
 * Returns undefined where the run does not fail when it is played again with all of its parts.
 */
export async function shrink<Part, Failure>({
  parts,
  play,
  tries,
}: FailedRun<Part, Failure>): Promise<Counterexample<Part, Failure> | undefined> {
  let kept: ReadonlySet<Part> = new Set(parts);
  let failure = await play(kept);
  if (failure === undefined) return undefined;
  let left = tries - 1;
  let size = half(kept.size);
  while (size >= 1 && left > 0) {
    const before = kept.size;
    for (let from = 0; from < kept.size && left > 0; left -= 1) {
      const all = [...kept];
      const fewer = new Set([...all.slice(0, from), ...all.slice(from + size)]);
      const still = await play(fewer);
      if (still === undefined) from += size;
      else [kept, failure] = [fewer, still];
    }
    // What could not be left out one by one is tried again once something else has been.
    if (size > 1) size = half(size);
    else if (kept.size === before) size = 0;
  }
  return { kept, failure };
}

function half(size: number): number {
  return Math.ceil(size / 2);
}
