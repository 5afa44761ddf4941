import { expect, test } from "vitest";
import { canMeasureCpu } from "../../scripts/bench/cpu.ts";
import { measureRatios, recordedRatios } from "../../scripts/bench/ratios.ts";

/**
 * A tenth less than what was recorded, and a tenth more for the noise: eight measurements of one build, on a busy machine and on an
 * idle one, lay between 0.90 and 1.11 of it.
 */
const LEAST_OF_RECORDED = 0.8;

test.skipIf(!canMeasureCpu)(
  "an event costs the server no more than when its ratios were recorded",
  async () => {
    const recorded = recordedRatios();
    const ratios = await measureRatios();
    expect(Object.keys(ratios)).toEqual(Object.keys(recorded));
    const fallen = Object.entries(ratios).filter(
      ([name, ratio]) => ratio < LEAST_OF_RECORDED * (recorded[name] ?? Number.NaN),
    );
    expect({ fallen, recorded }).toEqual({ fallen: [], recorded });
  },
  300_000,
);
