import { describe, expect, it } from "vitest";
import { SEED } from "../seed.ts";
import { Player } from "../simulation/player.ts";
import { customerCounterexample } from "./counterexample.ts";
import type { SimulatedCustomer } from "./customer.ts";
import { DEBT_INVARIANTS } from "./debt-invariants.ts";
import { type Breach, type Evidence, gather, type Invariant } from "./evidence.ts";
import { type FaultKind, POINTS } from "./faults.ts";
import { LADDER_INVARIANTS } from "./ladder-invariants.ts";
import { endsAgree, resendAgrees, stripeAgrees } from "./ledger-invariants.ts";
import { ACTION_KINDS, type ActionKind } from "./plan.ts";
import { MONTHS_EACH, Simulation } from "./simulation.ts";
import { TEAM_INVARIANTS } from "./team-invariants.ts";
import { TEAM_ACTIONS } from "./team-plan.ts";
import { timelineOf } from "./timeline.ts";

/**
 * The months are the same each time, so that a difference comes from a change of the code. DUEBASE_SEED plays other
 * months, DUEBASE_MONTHS more or fewer, and DUEBASE_CUSTOMERS=3,17 these customers alone.
 */
const MONTHS = Number(process.env.DUEBASE_MONTHS ?? 120);
/** The same of a world whose customers belong to teams; DUEBASE_TEAM_MONTHS makes it more or fewer. */
const TEAM_MONTHS = Number(process.env.DUEBASE_TEAM_MONTHS ?? 24);
const ONLY = process.env.DUEBASE_CUSTOMERS?.split(",").map(Number);
/** Customers of one world. */
const WORLD = 75;

/** Actions that every run of `npm test` has. The full number of months has the rarer ones too. */
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
  /** The points at which a run was killed, or failed. */
  points: string[];
  /** How often each action was done in a team, and how many users, rows and debts were looked at. */
  inTeams: Record<string, number>;
}

const NO_FIGURES: Figures = {
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
  inTeams: {},
};

/**
 * Plays a share of the months, world after world, and has a test for each invariant.
 *
 * @param kind of simulation, as in "dunning, without faults, …"
 * @param hasTeams whether customers belong to teams; then DUEBASE_TEAM_MONTHS says how many months
 */
export function simulatesDunning(
  kind: string,
  faults: readonly FaultKind[],
  share: number,
  { hasTeams = false } = {},
): void {
  const figures = structuredClone(NO_FIGURES);
  const months = hasTeams ? TEAM_MONTHS : MONTHS;
  const invariants = hasTeams ? { ...INVARIANTS, ...TEAM_INVARIANTS } : INVARIANTS;
  const customers =
    ONLY ?? Array.from({ length: Math.ceil((months * share) / MONTHS_EACH) }, (_, index) => index);

  describe(`dunning, ${kind},`, () => {
    const player = new Player<Evidence, Breach>({
      name: `dunning, ${kind}`,
      variable: hasTeams ? "DUEBASE_TEAM_MONTHS" : "DUEBASE_MONTHS",
      number: months,
      timeout: 3_600_000,
      invariants,
      async *play() {
        for (let from = 0; from < customers.length; from += WORLD) {
          const settings = {
            seed: SEED,
            customers: customers.slice(from, from + WORLD),
            faults: new Set(faults),
            hasTeams,
          };
          const simulation = await Simulation.play(settings);
          try {
            const evidence = await gather(simulation);
            count(evidence, figures);
            yield evidence;
          } finally {
            await simulation.close();
          }
        }
      },
      subjectOf: ({ customer }, { simulation }) => {
        const { seed, customers: all } = simulation.settings;
        const index = customerOf(customer, simulation)?.plan.index;
        return `seed ${seed}, customer ${index} of ${all[0]}-${all.at(-1)}`;
      },
      explain: async ({ customer: id }, { simulation }, invariant) => {
        const [customer, broken] = [customerOf(id, simulation), invariants[invariant]];
        if (customer === undefined || broken === undefined) return "";
        const small = await customerCounterexample(simulation.settings, customer.plan.index, broken);
        if (small !== undefined) return small;
        return `A run of this customer alone does not have it. The timeline of the whole run:\n${await timelineOf(simulation, customer)}`;
      },
      figures: () => ({ ...figures, months: Math.round(figures.months) }),
    });
    player.playBeforeAll();
    player.testInvariants();

    it("brings about what is to be tested: failures, warnings, ends and recoveries", () => {
      const enough = ONLY ? 0 : months * share;
      expect(figures.failureMails).toBeGreaterThanOrEqual(enough / 2);
      expect(figures.ends).toBeGreaterThanOrEqual(Math.floor(enough / 25));
      if (faults.length > 0 && enough >= 500) {
        // Ends and charges are rare, and a kill on the way to one is rarer. The kill tests reach each of these points.
        const common = POINTS.filter((point) => !/^(call|charge|end)_|^answer/.test(point));
        expect(figures.points).toEqual(expect.arrayContaining(common));
        expect(figures.points.length).toBeGreaterThan(common.length);
      }
      expect(figures.recovered).toBeGreaterThanOrEqual(Math.floor(enough / 25));
      const wanted = enough >= 600 ? ACTION_KINDS : enough >= 50 ? COMMON_ACTIONS : [];
      expect(wanted.filter((kind) => figures.actions[kind] === undefined)).toEqual([]);
      if (faults.length > 0 && enough >= 50)
        expect(Math.min(figures.slowReads, figures.replayed), "slow reads and replays").toBeGreaterThan(0);
      if (hasTeams && !ONLY) {
        expect(Math.min(figures.inTeams.users ?? 0, figures.inTeams.rows ?? 0)).toBeGreaterThan(enough * 10);
        expect(figures.inTeams.debts, "debts in banners").toBeGreaterThan(enough);
        expect(figures.inTeams.seats, "changes of seats at Stripe").toBeGreaterThan(enough / 4);
        if (enough >= 100)
          expect(TEAM_ACTIONS.filter((action) => figures.inTeams[action] === undefined)).toEqual([]);
      }
    });
  });
}

function customerOf(id: string, { customers }: Simulation): SimulatedCustomer | undefined {
  return customers.find((customer) => customer.id === id);
}

function count({ simulation, cases, mails }: Evidence, figures: Figures): void {
  figures.months += simulation.customers.length * MONTHS_EACH;
  figures.events += simulation.webhooks.delivered;
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
  const seats = simulation.teams?.seats.changes ?? 0;
  for (const [what, times] of Object.entries({
    ...simulation.teams?.done,
    ...simulation.teams?.asked,
    seats,
  }))
    figures.inTeams[what] = (figures.inTeams[what] ?? 0) + times;
  const points = simulation.crashes.map((crash) => crash.split(": ")[1] ?? "");
  figures.points = [...new Set([...figures.points, ...points])].sort();
}
