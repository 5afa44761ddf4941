import { expect, it } from "vitest";
import { shrink } from "../support/simulation/shrinker.ts";

const PARTS = Array.from({ length: 100 }, (_, part) => part);

/** Shrinks a run that fails as long as the parts it plays satisfy the condition, and counts how often it is played. */
async function shrinkWhere(fails: (kept: ReadonlySet<number>) => boolean, tries = 1000) {
  let played = 0;
  const found = await shrink({
    parts: PARTS,
    tries,
    play: async (kept) => {
      played += 1;
      return fails(kept) ? `failure ${played}` : undefined;
    },
  });
  return { kept: found && [...found.kept], failure: found?.failure, played };
}

it("leaves the parts that a failure needs, and no other", async () => {
  const { kept } = await shrinkWhere((parts) => [3, 50, 51, 97].every((part) => parts.has(part)));
  expect(kept).toEqual([3, 50, 51, 97]);
});

it("leaves out what only another part needs", async () => {
  // 4 can go once 96 has gone.
  const { kept } = await shrinkWhere((parts) => parts.has(50) && (parts.has(4) || !parts.has(96)));
  expect(kept).toEqual([50]);
});

it("leaves nothing where a run fails without any part", async () => {
  expect((await shrinkWhere(() => true)).kept).toEqual([]);
});

it("returns the failure of the smallest run that failed", async () => {
  const failures: string[] = [];
  const found = await shrink({
    parts: PARTS,
    tries: 1000,
    play: async (kept) => {
      if (!kept.has(7)) return undefined;
      failures.push([...kept].join());
      return failures.at(-1);
    },
  });
  expect(found?.failure).toBe("7");
});

it("returns nothing where the run does not fail again", async () => {
  expect(await shrinkWhere(() => false)).toMatchObject({ kept: undefined, played: 1 });
});

it("plays no more often than it may, and returns a run that failed", async () => {
  const { kept, played } = await shrinkWhere((parts) => parts.has(3) && parts.has(97), 10);
  expect(played).toBe(10);
  expect(kept).toEqual(expect.arrayContaining([3, 97]));
  expect(kept?.length).toBeLessThan(PARTS.length);
});
