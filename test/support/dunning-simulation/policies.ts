import type { TestDatabase } from "../database.ts";

interface LadderStep {
  day: number;
  kind: "notice" | "urgent_reminder" | "final_warning" | "end";
}

export interface Policy {
  name: string;
  steps: LadderStep[];
  endAction: "cancel" | "pause" | "mark_uncollectible" | "leave";
  voids?: boolean;
  keepsAccess?: boolean;
  minimum?: Record<string, number>;
}

function ladder(
  notice: number,
  urgent: number | null,
  final: number | null,
  end: number | null,
): LadderStep[] {
  const steps: [LadderStep["kind"], number | null][] = [
    ["notice", notice],
    ["urgent_reminder", urgent],
    ["final_warning", final],
    ["end", end],
  ];
  return steps.flatMap(([kind, day]) => (day === null ? [] : [{ kind, day }]));
}

/** The policies that customers have besides the default. */
export const POLICIES: readonly Policy[] = [
  { name: "pausing", steps: ladder(0, 3, 6, 9), endAction: "pause" },
  { name: "writing-off", steps: ladder(0, 2, 5, 9), endAction: "mark_uncollectible" },
  { name: "leaving", steps: ladder(0, null, 4, 8), endAction: "leave" },
  { name: "strict", steps: ladder(0, 1, 2, 5), endAction: "cancel", voids: true, keepsAccess: false },
  // Its end would come before the three days after the warning are over.
  { name: "impatient", steps: ladder(1, null, 2, 3), endAction: "cancel" },
  { name: "endless", steps: ladder(0, 5, null, null), endAction: "leave" },
  {
    name: "modest",
    steps: ladder(0, 3, 7, 10),
    endAction: "cancel",
    minimum: { usd: 1000, eur: 1000, jpy: 1000 },
  },
];

/** Days after the anchor at which a policy's first step is due. */
export function firstDay(policy: string | null): number {
  return POLICIES.find(({ name }) => name === policy)?.steps[0]?.day ?? 0;
}

/** The day of a policy's last step. */
export function endDay(policy: string | null): number {
  const { steps } = POLICIES.find(({ name }) => name === policy) ?? { steps: ladder(0, 3, 7, 10) };
  return steps.at(-1)?.day ?? 0;
}

/** Days after the anchor at which a policy's last step is due, the three days after its warning included. */
export function lastDay(policy: string | null): number {
  const { steps } = POLICIES.find(({ name }) => name === policy) ?? { steps: ladder(0, 3, 7, 10) };
  const warning = steps.find(({ kind }) => kind === "final_warning")?.day ?? 0;
  return Math.max(steps.at(-1)?.day ?? 0, warning + 3);
}

export async function definePolicies(database: TestDatabase, now: Date): Promise<void> {
  for (const policy of POLICIES) {
    await database.asService(
      (sql) => sql`
        select billing.define_dunning_policy(
          ${policy.name}, ${sql.json(policy.steps as never)}, ${policy.endAction}, ${policy.voids ?? false},
          ${policy.keepsAccess ?? true}, ${sql.json(policy.minimum ?? {})}, null, ${now}
        )`,
    );
  }
}
