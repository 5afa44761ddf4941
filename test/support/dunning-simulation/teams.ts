import { randomUUID } from "node:crypto";
import type { DunningWorld } from "../dunning-world.ts";
import type { SimulatedCustomer } from "./customer.ts";
import { pick } from "./debt-actions.ts";
import { type PlannedTeamAction, planTeam, teamOfCustomer } from "./team-plan.ts";
import { readsOf, statusOf, visibleTo } from "./team-reads.ts";
import { TeamSeats } from "./team-seats.ts";

/** A team of the application's, and what the simulation knows about it. */
export interface SimulatedTeam {
  index: number;
  id: string;
  /** Who belongs to it, and whether they manage it. */
  users: Map<string, boolean>;
  actions: PlannedTeamAction[];
  isDeleted: boolean;
}

/** What an invariant about teams forbids, and that happened. */
export interface TeamBreach {
  /** A customer of the team's. */
  customer: string;
  rule: "reads" | "banner" | "access stays" | "seats";
  what: string;
}

/** The teams of a simulated world: who is in them, what becomes of that, and who reads what meanwhile. */
export class Teams {
  readonly all: SimulatedTeam[] = [];
  readonly breaches: TeamBreach[] = [];
  /** How often each action was done. */
  readonly done: Record<string, number> = {};
  /** How many users were asked what they read, and how many rows they read. */
  readonly asked = { users: 0, rows: 0, debts: 0 };
  /** Everybody who ever was in a team. */
  readonly addresses: string[] = [];
  /** What they pay by the seat. */
  readonly seats: TeamSeats;
  readonly #world: DunningWorld;
  readonly #seed: number;

  private constructor(world: DunningWorld, seats: TeamSeats, seed: number) {
    this.#world = world;
    this.seats = seats;
    this.#seed = seed;
  }

  /** Has the application say who belongs to whom, by its table of members, as an application with accounts has it. */
  static async open(world: DunningWorld, seed: number): Promise<Teams> {
    await world.database.sql.unsafe(`
      create schema app;
      create table app.members (
        team_id uuid not null,
        user_id uuid not null references auth.users (id) on delete cascade,
        can_manage boolean not null,
        primary key (user_id, team_id)
      );
      create function app.teams_of(user_id uuid) returns table (owner_id uuid, can_manage boolean)
      language sql stable set search_path = '' as $$
        select m.team_id, m.can_manage from app.members as m where m.user_id = teams_of.user_id
      $$;
      update billing.settings set owners_function = 'app.teams_of' where id;
    `);
    return new Teams(world, await TeamSeats.open(world), seed);
  }

  /** The team that pays by a customer; made with its users where it is the first one. */
  async teamOf(customerIndex: number): Promise<SimulatedTeam> {
    const index = teamOfCustomer(customerIndex);
    const known = this.all.find((team) => team.index === index);
    if (known) return known;
    const { users, actions } = planTeam(this.#seed, index);
    const team: SimulatedTeam = { index, id: randomUUID(), users: new Map(), actions, isDeleted: false };
    this.all.push(team);
    for (const manages of users) await this.#join(team, manages);
    await this.seats.subscribe(team);
    return team;
  }

  /** What is planned for the time between, in order. */
  actionsBetween(from: number, until: number): { team: SimulatedTeam; action: PlannedTeamAction }[] {
    return this.all
      .flatMap((team) =>
        team.actions.filter(({ at }) => at > from && at <= until).map((action) => ({ team, action })),
      )
      .sort((one, other) => one.action.at - other.action.at);
  }

  /** Does what was planned, where the team allows it, and looks at once what its users read. */
  async perform(
    team: SimulatedTeam,
    action: PlannedTeamAction,
    customers: SimulatedCustomer[],
  ): Promise<void> {
    if (team.isDeleted) return;
    const before = action.kind === "forget_a_manager" || action.kind === "delete_account";
    const seen = before ? await this.#seenBy(team) : new Map<string, string>();
    if (!(await this.#act(team, action))) return;
    this.done[action.kind] = (this.done[action.kind] ?? 0) + 1;
    for (const [user, rows] of before ? await this.#seenBy(team) : new Map<string, string>())
      if (rows !== seen.get(user))
        this.#breach(team, customers, "access stays", `${action.kind} changed what ${user} reads`);
    await this.check(customers, [team]);
  }

  /** Compares what every user reads with who is in which team at this moment. */
  async check(customers: SimulatedCustomer[], teams: readonly SimulatedTeam[] = this.all): Promise<void> {
    const { database, now } = this.#world;
    for (const team of teams) {
      const own = customers.filter(({ plan }) => teamOfCustomer(plan.index) === team.index);
      const ids = team.isDeleted ? [] : [...own.map(({ id }) => id), ...this.seats.customerOf(team)];
      for (const [user, manages] of team.users) {
        const [reads, expected] = [await readsOf(database, user), await visibleTo(database, ids, manages)];
        if (reads.join() !== expected.join())
          this.#breach(
            team,
            customers,
            "reads",
            `${user}, ${manages ? "who manages" : "in"} the team, reads ${reads} and not ${expected}`,
          );
        const banner = await statusOf(database, user, ids, manages, now);
        if (banner.breach !== undefined) this.#breach(team, customers, "banner", banner.breach);
        this.asked.users += 1;
        this.asked.rows += reads.length;
        this.asked.debts += banner.debts;
      }
    }
  }

  /** Looks, when all days are over, at what was paid by the seat. */
  async checkSeats(): Promise<void> {
    this.breaches.push(...(await this.seats.breaches(this.all)));
  }

  async #seenBy(team: SimulatedTeam): Promise<Map<string, string>> {
    const seen = new Map<string, string>();
    for (const user of team.users.keys()) seen.set(user, (await readsOf(this.#world.database, user)).join());
    return seen;
  }

  /** Returns whether there was anything to do. */
  async #act(team: SimulatedTeam, { kind, choice }: PlannedTeamAction): Promise<boolean> {
    const { database } = this.#world;
    if (kind === "join_as_member" || kind === "join_as_manager") {
      await this.#join(team, kind === "join_as_manager");
      return true;
    }
    if (kind === "delete_team") {
      // As the application's trigger on its table of teams does it. Whoever is left in the table reads nothing.
      await database.asService((sql) => sql`select billing.owner_deleted(${team.id}, ${this.#world.now})`);
      team.isDeleted = true;
      return true;
    }
    const managers = kind === "promote" ? false : kind === "leave" || kind === "delete_account" ? null : true;
    const candidates = [...team.users].filter(([, manages]) => managers === null || manages === managers);
    if (candidates.length === 0) return false;
    const [user] = pick(candidates, choice);
    if (kind === "promote" || kind === "demote") {
      const manages = kind === "promote";
      await database.sql`update app.members set can_manage = ${manages} where user_id = ${user}`;
      team.users.set(user, manages);
      return true;
    }
    if (kind === "leave") await database.sql`delete from app.members where user_id = ${user}`;
    else {
      if (kind === "forget_a_manager")
        await database.asService((sql) => sql`select billing.forget_user(${user}, ${this.#world.now})`);
      const auth = database.connect({ role: "supabase_auth_admin" });
      await auth`delete from auth.users where id = ${user}`;
      await auth.end();
    }
    team.users.delete(user);
    if ((await readsOf(database, user)).length > 0)
      this.#breach(team, [], "reads", `${user} reads something after ${kind}`);
    return true;
  }

  async #join(team: SimulatedTeam, manages: boolean): Promise<void> {
    const { database } = this.#world;
    const email = `user${this.addresses.length}@team${team.index}.example.com`;
    const user = await database.signUp({ email });
    this.addresses.push(email);
    await database.sql`insert into app.members values (${team.id}, ${user}, ${manages})`;
    team.users.set(user, manages);
  }

  #breach(team: SimulatedTeam, customers: SimulatedCustomer[], rule: TeamBreach["rule"], what: string): void {
    const customer = customers.find(({ plan }) => teamOfCustomer(plan.index) === team.index)?.id ?? "";
    this.breaches.push({
      customer,
      rule,
      what: `${this.#world.now.toISOString()} team ${team.index}: ${what}`,
    });
  }
}
