import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import "../../support/seeded-properties.ts";

/**
 * What a ladder's due step comes to when it is asked at many times and each step is taken as soon as it is due. The walk
 * is made in SQL, by the function itself; times are hours after the anchor.
 */
const RUNS = Number(process.env.DUEBASE_RUNS ?? 150);
const HOUR = 3_600_000;
const anchor = Date.parse("2026-11-01T12:00:00Z");

interface Ladder {
  days: number[];
  kinds: string[];
}
interface Taken {
  step: number;
  at: number;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const at = (hours: number) => new Date(anchor + hours * HOUR);

async function due(ladder: Ladder, taken: number, lastMail: number | null, ends: number | null, now: number) {
  const [row] = await database.sql<{ step: number | null }[]>`
    select billing_private.due_dunning_step(
      ${ladder.days}::integer[], ${ladder.kinds}::text[], ${at(0)}, ${taken}, ${lastMail === null ? null : at(lastMail)},
      ${ends === null ? null : at(ends)}, ${at(now)}
    ) as step`;
  return row?.step ?? null;
}

async function walk(ladder: Ladder, times: number[]): Promise<Taken[]> {
  const taken: Taken[] = [];
  let [highest, lastMail, ends]: [number, number | null, number | null] = [0, null, null];
  for (const now of times) {
    const step = await due(ladder, highest, lastMail, ends, now);
    if (step === null) continue;
    taken.push({ step, at: now });
    highest = step;
    if (ladder.kinds[step - 1] !== "end") lastMail = now;
    if (ladder.kinds[step - 1] === "final_warning") ends = Math.max((ladder.days.at(-1) ?? 0) * 24, now + 72);
  }
  return taken;
}

/** Ladders that ladder_fault lets pass. */
const ladders = fc
  .record({
    kinds: fc.constantFrom<string[]>(
      ["notice"],
      ["notice", "urgent_reminder"],
      ["notice", "final_warning"],
      ["notice", "final_warning", "end"],
      ["notice", "urgent_reminder", "final_warning"],
      ["notice", "urgent_reminder", "final_warning", "end"],
    ),
    first: fc.integer({ min: 0, max: 5 }),
    gaps: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 3 }),
  })
  .map(({ kinds, first, gaps }): Ladder => {
    const days = [first];
    for (let index = 1; index < kinds.length; index++)
      days.push((days[index - 1] ?? 0) + (gaps[index - 1] ?? 1));
    return { days, kinds };
  });
/** When the cases are evaluated: often, seldom, late, twice. */
const lookups = fc
  .array(fc.integer({ min: -48, max: 24 * 45 }), { minLength: 1, maxLength: 14 })
  .map((times) => times.toSorted((one, other) => one - other));

it("whenever it is evaluated: a case starts with the notice, takes higher steps and never lower ones, sends one mail in 20 hours, and ends three days after the warning", async () => {
  await fc.assert(
    fc.asyncProperty(ladders, lookups, async (ladder, times) => {
      const taken = await walk(ladder, times);
      const kind = ({ step }: Taken) => ladder.kinds[step - 1];
      if (taken[0]) expect(taken[0].step).toBe(1);
      for (const [index, { step, at: now }] of taken.entries()) {
        const day = ladder.days[step - 1] ?? Number.NaN;
        expect(now).toBeGreaterThanOrEqual(day * 24);
        const before = taken[index - 1];
        if (before) expect(step).toBeGreaterThan(before.step);
        if (before && ladder.kinds[step - 1] !== "end") expect(now - before.at).toBeGreaterThanOrEqual(20);
      }
      const end = taken.find((it) => kind(it) === "end");
      const warning = taken.find((it) => kind(it) === "final_warning");
      if (end) expect(end.at - (warning?.at ?? Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(72);
    }),
    { numRuns: RUNS },
  );
});

it("no case is forgotten: evaluated every day, each one takes all steps to its end, on the days of its policy", async () => {
  await fc.assert(
    fc.asyncProperty(ladders, async (ladder) => {
      const taken = await walk(
        ladder,
        Array.from({ length: 36 }, (_, day) => day * 24),
      );
      const expected = ladder.days.map((day, index) => ({
        step: index + 1,
        at: 24 * (ladder.kinds[index] === "end" ? Math.max(day, (ladder.days[index - 1] ?? 0) + 3) : day),
      }));
      expect(taken).toEqual(expected);
    }),
    { numRuns: Math.ceil(RUNS / 5) },
  );
});

it("what is due stays due, and only ever becomes more, until it is taken", async () => {
  await fc.assert(
    fc.asyncProperty(ladders, fc.integer({ min: 0, max: 4 }), lookups, async (ladder, wanted, times) => {
      const taken = Math.min(wanted, ladder.kinds.length);
      let before = 0;
      for (const now of times) {
        const step = await due(ladder, taken, null, 0, now);
        expect(step ?? 0).toBeGreaterThanOrEqual(before);
        before = step ?? 0;
      }
    }),
    { numRuns: Math.ceil(RUNS / 3) },
  );
});
