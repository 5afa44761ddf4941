import { DAY } from "../dunning-world.ts";
import { Random } from "../simulation/random.ts";
import { ACTIVE_DAYS } from "./plan.ts";

export const TEAM_ACTIONS = [
  "join_as_member",
  "join_as_manager",
  "leave",
  "promote",
  "demote",
  "forget_a_manager",
  "delete_account",
  "delete_team",
] as const;
export type TeamAction = (typeof TEAM_ACTIONS)[number];

/** How often each is drawn, relative to the others. */
const WEIGHTS: Record<TeamAction, number> = {
  join_as_member: 5,
  join_as_manager: 3,
  leave: 4,
  promote: 3,
  demote: 3,
  forget_a_manager: 4,
  delete_account: 2,
  delete_team: 1,
};
const CHOICES = TEAM_ACTIONS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind));

export interface PlannedTeamAction {
  /** Milliseconds after the beginning. */
  at: number;
  kind: TeamAction;
  /** From 0 to 1: which of the team's users. */
  choice: number;
}

export interface PlannedTeam {
  /** Whether each of its first users manages it. */
  users: boolean[];
  actions: PlannedTeamAction[];
}

/** Customers of one team, by their indexes: neighbours. */
const CUSTOMERS_EACH = 2;

/** Which team pays by a customer. */
export const teamOfCustomer = (index: number): number => Math.floor(index / CUSTOMERS_EACH);

/** What is going to happen in a team. The same seed and index plan the same, whatever other teams there are. */
export function planTeam(seed: number, index: number): PlannedTeam {
  const random = new Random((seed * 100_019 + index * 6151) % 2 ** 32);
  return {
    users: [true, ...Array.from({ length: random.int(1, 3) }, () => random.chance(0.3))],
    actions: Array.from({ length: random.int(4, 9) }, () => ({
      at: Math.round(random.next() * ACTIVE_DAYS * DAY),
      kind: random.pick(CHOICES),
      choice: random.next(),
    })).sort((one, other) => one.at - other.at),
  };
}
