import { beforeAll, describe, expect, it } from "vitest";
import { SEED } from "../seed.ts";
import { DEBT_INVARIANTS } from "./debt-invariants.ts";
import { type Evidence, gather } from "./evidence.ts";
import { POINTS } from "./faults.ts";
import { type Breach, type Invariant, LADDER_INVARIANTS } from "./ladder-invariants.ts";
import { endsAgree, resendAgrees, stripeAgrees } from "./ledger-invariants.ts";
import { ACTION_KINDS, type ActionKind } from "./plan.ts";
import { MONTHS_EACH, Simulation, type SimulationSettings } from "./simulation.ts";
import { timelineOf } from "./timeline.ts";

/**
 * The same months each time, so that a change is what makes a difference. DUEBASE_SEED plays others; DUEBASE_MONTHS more
 * or fewer; DUEBASE_CUSTOMERS=3,17 leaves out everybody else.
 */
const MONTHS = Number(process.env.DUEBASE_MONTHS ?? 120);
const ONLY = process.env.DUEBASE_CUSTOMERS?.split(",").map(Number);
/** Customers of one world. */
const WORLD = 75;

/** What is done in every run of `npm test`; the rarer ones in the full number of months. */
const COMMON_ACTIONS: readonly ActionKind[] = [
  "card_in_portal",
  "upgrade",
  "credit",
  "pay_by_record",
  "leave_with_usage",
];

const INVARIANTS: Record<string, Invariant> = {
  ...LADDER_INVARIANTS,
  ...DEBT_INVARIANTS,
  "agrees with Resend's ledger on what was sent": resendAgrees,
  "agrees with Stripe's ledger on what was ended": endsAgree,
  "shows subscriptions and invoices as they are at Stripe": stripeAgrees,
};

interface Found extends Breach {
  invariant: string;
}

interface Figures {
  months: number;
  events: number;
  cases: number;
  failureMails: number;
  ends: number;
  recovered: number;
  crashes: number;
  slowReads: number;
  replayed: number;
  /** How often each action was done. */
  actions: Record<string, number>;
  /** The points at which a run was ended, or failed. */
  points: string[];
}

/** Lives through a share of the months, world after world, and expects every promise to be kept in all of them. */
export function simulatesDunning(name: string, hasFaults: boolean, share: number): void {
  const found: Found[] = [];
  const figures: Figures = {
    months: 0,
    events: 0,
    cases: 0,
    failureMails: 0,
    ends: 0,
    recovered: 0,
    crashes: 0,
    slowReads: 0,
    replayed: 0,
    actions: {},
    points: [],
  };

  describe(name, () => {
    beforeAll(async () => {
      const startedAt = performance.now();
      console.log(`dunning ${name}: DUEBASE_SEED=${SEED} DUEBASE_MONTHS=${MONTHS}`);
      const customers =
        ONLY ?? Array.from({ length: Math.ceil((MONTHS * share) / MONTHS_EACH) }, (_, index) => index);
      for (let from = 0; from < customers.length; from += WORLD) {
        const settings = { seed: SEED, customers: customers.slice(from, from + WORLD), hasFaults };
        await playWorld(settings, found, figures);
      }
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(
        `dunning ${name}: ${JSON.stringify({ ...figures, months: Math.round(figures.months), seconds })}`,
      );
    }, 3_600_000);

    it.each(Object.keys(INVARIANTS))("%s", (invariant) => {
      expect(found.filter((breach) => breach.invariant === invariant).map(({ what }) => what)).toEqual([]);
    });

    it("is put to the proof: there are failures, warnings, ends and recoveries", () => {
      const enough = ONLY ? 0 : MONTHS * share;
      expect(figures.failureMails).toBeGreaterThanOrEqual(enough / 2);
      expect(figures.ends).toBeGreaterThanOrEqual(enough / 25);
      if (hasFaults && enough >= 500) {
        // Ends and charges are rare, and a run that is ended on the way to one is rarer; the kill tests reach each of these.
        const common = POINTS.filter((point) => !/^(call|charge|end)_|^answer/.test(point));
        expect(figures.points).toEqual(expect.arrayContaining(common));
        expect(figures.points.length).toBeGreaterThan(common.length);
      }
      expect(figures.recovered).toBeGreaterThanOrEqual(enough / 25);
      const wanted = enough >= 600 ? ACTION_KINDS : enough >= 50 ? COMMON_ACTIONS : [];
      expect(wanted.filter((kind) => figures.actions[kind] === undefined)).toEqual([]);
      if (hasFaults && enough >= 50)
        expect(Math.min(figures.slowReads, figures.replayed), "slow reads and replays").toBeGreaterThan(0);
    });
  });
}

async function playWorld(settings: SimulationSettings, found: Found[], figures: Figures): Promise<void> {
  const simulation = await Simulation.play(settings);
  try {
    const evidence = await gather(simulation);
    for (const [invariant, broken] of Object.entries(INVARIANTS)) {
      const breaches = broken(evidence);
      found.push(
        ...breaches.map((breach) => ({
          invariant,
          ...breach,
          what: `${nameOf(breach, evidence)}: ${breach.what}`,
        })),
      );
      const [first] = breaches;
      const customer = simulation.customers.find(({ id }) => id === first?.customer);
      // One story of each kind is enough to read.
      if (
        customer !== undefined &&
        found.filter((one) => one.invariant === invariant).length === breaches.length
      )
        console.log(`${invariant}: ${first?.what}\n${await timelineOf(simulation, customer)}`);
    }
    count(evidence, figures);
  } finally {
    await simulation.close();
  }
}

function nameOf({ customer }: Breach, { simulation }: Evidence): string {
  const { seed, customers } = simulation.settings;
  const index = simulation.customers.find(({ id }) => id === customer)?.plan.index;
  return `seed ${seed}, customer ${index} of ${customers[0]}-${customers.at(-1)}`;
}

function count({ simulation, cases, mails }: Evidence, figures: Figures): void {
  figures.months += simulation.customers.length * MONTHS_EACH;
  figures.events += simulation.webhooks.carried;
  figures.cases += cases.length;
  figures.failureMails += [...mails.values()].filter(([mail]) =>
    mail?.tags.template?.startsWith("payment-failed-"),
  ).length;
  figures.ends += simulation.ends.length;
  figures.recovered += cases.filter(({ outcome }) => outcome === "recovered").length;
  figures.crashes += simulation.crashes.length;
  figures.slowReads += simulation.slowReads;
  figures.replayed += simulation.webhooks.replayed;
  for (const line of simulation.customers.flatMap(({ log }) => log)) {
    const [, kind = ""] = /^\S+ (\w+): (?!refused)/.exec(line) ?? [];
    if (kind !== "") figures.actions[kind] = (figures.actions[kind] ?? 0) + 1;
  }
  const points = simulation.crashes.map((crash) => crash.split(": ")[1] ?? "");
  figures.points = [...new Set([...figures.points, ...points])].sort();
}
