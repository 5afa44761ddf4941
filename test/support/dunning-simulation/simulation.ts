import { chase, type DeliverParts, deliver } from "../delivering.ts";
import { DAY, DunningWorld, HOUR } from "../dunning-world.ts";
import { inLanes } from "../simulation/lanes.ts";
import { Random } from "../simulation/random.ts";
import { perform } from "./actions.ts";
import { createCustomer, DEBIT_SECONDS, type SimulatedCustomer } from "./customer.ts";
import { type End, EndWatch } from "./ends.ts";
import { Crashed, crashAt, type FaultKind, Faults, type RunFault } from "./faults.ts";
import {
  ACTIVE_DAYS,
  type PlannedAction,
  type PlannedCustomer,
  planCustomer,
  QUIET_DAYS,
  START,
} from "./plan.ts";
import { definePolicies } from "./policies.ts";
import { SlowAnswer } from "./slow-answer.ts";
import { Teams } from "./teams.ts";
import { Webhooks } from "./webhooks.ts";

const STEP = 4 * HOUR;
const QUIET_STEP = 8 * HOUR;
/** The hour of the daily job (UTC). */
const DAILY_HOUR = 8;
const NOWHERE = { url: "http://127.0.0.1:9" };
const DAYS = ACTIVE_DAYS + QUIET_DAYS;

/** Months of one customer in a world. */
export const MONTHS_EACH = DAYS / 30;

export interface SimulationSettings {
  seed: number;
  /** Indexes of the customers in it. */
  customers: readonly number[];
  faults: ReadonlySet<FaultKind>;
  /** What the project does with what Stripe tells. Default live. */
  mode?: "live" | "mirror";
  /** Places of the actions that are played, among those planned for each customer; all of them where absent. */
  actions?: ReadonlySet<number>;
  /** Whether customers belong to teams, which people join and leave meanwhile. */
  hasTeams?: boolean;
}

/** A month and a half of a world of customers, who pay or do not. */
export class Simulation {
  readonly settings: SimulationSettings;
  readonly world: DunningWorld;
  readonly customers: SimulatedCustomer[] = [];
  readonly webhooks: Webhooks;
  /** Where teams pay. */
  teams: Teams | undefined;
  readonly ends: End[] = [];
  readonly crashes: string[] = [];
  /** Reads that Stripe answered after something had changed. */
  slowReads = 0;
  /** Requests of deliver's and the daily run's that change something at Stripe: method and path. */
  readonly writes: string[] = [];
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #dashboard: Random;
  readonly #watch: EndWatch;

  private constructor(settings: SimulationSettings, world: DunningWorld) {
    this.settings = settings;
    this.world = world;
    this.webhooks = new Webhooks(world, START.getTime());
    this.#faults = new Faults(settings.seed, settings.faults, ACTIVE_DAYS);
    this.#random = new Random(settings.seed + 29);
    this.#dashboard = new Random(settings.seed + 41);
    this.#watch = new EndWatch(world);
  }

  /** Plays all its days. What came of it is then in the tables and in the ledgers of Stripe and Resend. */
  static async play(settings: SimulationSettings): Promise<Simulation> {
    const world = await DunningWorld.open(START, { debitSeconds: DEBIT_SECONDS });
    const simulation = new Simulation(settings, world);
    await world.database.sql`update billing.settings set mode = ${settings.mode ?? "live"} where id`;
    await definePolicies(world.database, world.now);
    const teams = settings.hasTeams ? await Teams.open(world, settings.seed) : undefined;
    simulation.teams = teams;
    const owners = new Map<number, string>();
    if (teams) for (const index of settings.customers) owners.set(index, (await teams.teamOf(index)).id);
    await inLanes(4, settings.customers, async (index) => {
      const customer = await createCustomer(world, simulation.#planOf(index), START, owners.get(index));
      simulation.customers.push(customer);
      simulation.webhooks.add(customer);
    });
    simulation.customers.sort((one, other) => one.plan.index - other.plan.index);
    for (let since = STEP; since <= ACTIVE_DAYS * DAY; since += STEP) await simulation.#step(since);
    for (let since = ACTIVE_DAYS * DAY + QUIET_STEP; since <= DAYS * DAY; since += QUIET_STEP)
      await simulation.#step(since);
    await teams?.checkSeats();
    return simulation;
  }

  #planOf(index: number): PlannedCustomer {
    const { seed, faults, actions } = this.settings;
    const plan = planCustomer(seed, index, faults);
    return { ...plan, actions: plan.actions.filter((_, place) => actions?.has(place) ?? true) };
  }

  close(): Promise<void> {
    return this.world.close();
  }

  async #step(since: number): Promise<void> {
    if (since % (3 * DAY) === 0) this.#decideSettings();
    for (const { customer, action } of this.#actionsBetween(since - STEP, since)) {
      this.#turnTo(START.getTime() + action.at);
      await perform(customer, action, this.world);
    }
    for (const { team, action } of this.teams?.actionsBetween(since - STEP, since) ?? []) {
      this.#turnTo(START.getTime() + action.at);
      await this.teams?.perform(team, action, this.customers);
    }
    this.#turnTo(START.getTime() + since);
    await this.webhooks.deliverNew();
    const isQuiet = since > ACTIVE_DAYS * DAY;
    for (const delivery of [1, 2]) {
      this.#turnTo(this.world.now.getTime() + 150_000 * delivery);
      await this.teams?.seats.tick();
      const fault = isQuiet ? undefined : this.#faults.delivery(since);
      await this.#run("delivery", fault);
    }
    if ((since / HOUR) % 24 !== DAILY_HOUR) return;
    this.#turnTo(this.world.now.getTime() + 60_000);
    await this.#run("daily run", isQuiet ? undefined : this.#faults.dailyRun(since));
    this.#turnTo(this.world.now.getTime() + 150_000);
    await this.#run("delivery", isQuiet ? undefined : this.#faults.delivery(since));
    await this.teams?.check(this.customers);
  }

  /** The operator changes in the dashboard what Stripe does by itself when a payment fails. */
  #decideSettings(): void {
    Object.assign(this.world.local.settings, {
      afterFirstFailure: this.#dashboard.pick(["past_due", "past_due", "pause"]),
      afterRetries: this.#dashboard.pick(["past_due", "past_due", "pause", "pause", "unpaid", "cancel"]),
      resumeWhenPaid: this.#dashboard.pick(["no", "no", "now", "unchanged"]),
      retryDays: this.#dashboard.pick([[1, 2], [1, 2, 2, 2, 2, 2, 3], [1, 2, 2, 2, 2, 2, 3], [3]]),
    });
  }

  /** Turns the clock, never back: a run may have taken until after the time of the next action. */
  #turnTo(time: number): void {
    const later = Math.max(time, this.world.now.getTime());
    this.world.now = new Date(Math.floor(later / 1000) * 1000);
    this.world.local.tick();
  }

  #actionsBetween(from: number, until: number): { customer: SimulatedCustomer; action: PlannedAction }[] {
    return this.customers
      .flatMap((customer) =>
        customer.plan.actions
          .filter(({ at }) => at > from && at <= until)
          .map((action) => ({ customer, action })),
      )
      .sort((one, other) => one.action.at - other.action.at);
  }

  /** Runs deliver or the daily job, as often and with the faults that were drawn, then delivers the webhooks. */
  async #run(what: "delivery" | "daily run", fault: RunFault | undefined): Promise<void> {
    const { world } = this;
    const parts = this.#partsIn(fault);
    const crash = crashAt(fault?.crash ?? null);
    const requests = world.local.ledger.requests.length;
    this.#watch.begin();
    const slow = new SlowAnswer(world, fault?.answerFault ?? null, async (path) => {
      this.slowReads += 1;
      await this.#watch.payWhatIsRead(path);
      await this.webhooks.deliverNew();
    });
    const runs = Array.from({ length: fault?.runs ?? 1 }, (_, index) => {
      const reach = index === 0 ? crash.reach : undefined;
      const own: DeliverParts = {
        ...parts,
        reach: this.#watch.reach(
          reach,
          this.settings.faults.has("paid meanwhile") && fault !== undefined,
          this.#random,
        ),
      };
      const run = what === "delivery" ? deliver(own, world.now) : chase(own, world.now);
      return index === 0 ? Promise.race([run, crash.killed]) : run;
    });
    const results = await Promise.allSettled(runs);
    await slow.over();
    for (const { method, path } of world.local.ledger.requests.slice(requests)) {
      if (method !== "GET") this.writes.push(`${method} ${path}`);
    }
    for (const result of results) {
      if (result.status === "rejected" && !(result.reason instanceof Crashed)) throw result.reason;
    }
    if (crash.hasCrashed()) this.crashes.push(`${world.now.toISOString()} ${what}: ${fault?.crash?.point}`);
    world.local.faults.clear();
    world.inbox.faults.clear();
    this.ends.push(...(await this.#watch.endsSinceBegin()));
    await this.webhooks.deliverNew();
    await this.webhooks.report();
  }

  #partsIn(fault: RunFault | undefined): DeliverParts {
    const { local, inbox, parts } = this.world;
    if (fault === undefined) return parts;
    const { answerFault, stripeIsAway, resendIsAway, hasWrongKey } = fault;
    if (answerFault !== null && answerFault.kind !== "slow") {
      const isError = answerFault.kind.startsWith("error");
      const action = (isError ? { kind: answerFault.kind, status: 500 } : { kind: answerFault.kind }) as {
        kind: "reset";
      };
      (answerFault.of === "stripe" ? local : inbox).faults.add({ skip: answerFault.skip, action });
    }
    return {
      ...parts,
      stripe: {
        url: local.url,
        ...parts.stripe,
        ...(hasWrongKey ? { secretKey: "sk_test_example_of_another" } : {}),
        ...(stripeIsAway ? NOWHERE : {}),
      },
      resend: resendIsAway ? NOWHERE : parts.resend,
    };
  }
}
