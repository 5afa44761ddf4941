import { chase, type DeliverParts, deliver } from "../delivering.ts";
import { DAY, DunningWorld, HOUR } from "../dunning-world.ts";
import { Random } from "../histories/random.ts";
import { perform } from "./acts.ts";
import { createCustomer, DEBIT_SECONDS, type SimulatedCustomer } from "./customer.ts";
import { type End, EndWatch } from "./ends.ts";
import { ACTIVE_DAYS, type PlannedAct, planCustomer, QUIET_DAYS, START } from "./plan.ts";
import { definePolicies } from "./policies.ts";
import { inLanes, Post } from "./post.ts";
import { SlowAnswer } from "./slow-answer.ts";
import { Crashed, crashAt, type RunFault, Weather } from "./weather.ts";

const STEP = 4 * HOUR;
const QUIET_STEP = 8 * HOUR;
/** The daily job's hour. */
const DAILY_HOUR = 8;
const NOWHERE = { url: "http://127.0.0.1:9" };
const DAYS = ACTIVE_DAYS + QUIET_DAYS;

/** Months of one customer in a world. */
export const MONTHS_EACH = DAYS / 30;

export interface SimulationSettings {
  seed: number;
  /** Indexes of the customers who live in it. */
  customers: readonly number[];
  /** With outages, crashes, late and lost events, and runs that are missed or come at the same time. */
  isFoul: boolean;
}

/** A world of customers who pay or do not, through a month and a half. */
export class Simulation {
  readonly settings: SimulationSettings;
  readonly world: DunningWorld;
  readonly customers: SimulatedCustomer[] = [];
  readonly post: Post;
  readonly ends: End[] = [];
  readonly crashes: string[] = [];
  /** Reads that Stripe answered after something had changed. */
  slowReads = 0;
  readonly #weather: Weather;
  readonly #random: Random;
  readonly #dashboard: Random;
  readonly #watch: EndWatch;

  private constructor(settings: SimulationSettings, world: DunningWorld) {
    this.settings = settings;
    this.world = world;
    this.post = new Post(world, START.getTime());
    this.#weather = new Weather(settings.seed, settings.isFoul, ACTIVE_DAYS);
    this.#random = new Random(settings.seed + 29);
    this.#dashboard = new Random(settings.seed + 41);
    this.#watch = new EndWatch(world);
  }

  /** Lives through it all; what came of it is then in the world's ledgers and tables. */
  static async live(settings: SimulationSettings): Promise<Simulation> {
    const world = await DunningWorld.open(START, { debitSeconds: DEBIT_SECONDS });
    const simulation = new Simulation(settings, world);
    await definePolicies(world.database, world.now);
    await inLanes(4, settings.customers, async (index) => {
      const customer = await createCustomer(
        world,
        planCustomer(settings.seed, index, settings.isFoul),
        START,
      );
      simulation.customers.push(customer);
      simulation.post.add(customer);
    });
    simulation.customers.sort((one, other) => one.plan.index - other.plan.index);
    for (let since = STEP; since <= ACTIVE_DAYS * DAY; since += STEP) await simulation.#step(since);
    for (let since = ACTIVE_DAYS * DAY + QUIET_STEP; since <= DAYS * DAY; since += QUIET_STEP)
      await simulation.#step(since);
    return simulation;
  }

  close(): Promise<void> {
    return this.world.close();
  }

  async #step(since: number): Promise<void> {
    if (since % (3 * DAY) === 0) this.#decideSettings();
    for (const { customer, act } of this.#actsBetween(since - STEP, since)) {
      this.#turnTo(START.getTime() + act.at);
      await perform(customer, act, this.world);
    }
    this.#turnTo(START.getTime() + since);
    await this.post.carry();
    const isQuiet = since > ACTIVE_DAYS * DAY;
    for (const delivery of [1, 2]) {
      this.#turnTo(this.world.now.getTime() + 150_000 * delivery);
      const fault = isQuiet ? undefined : this.#weather.delivery(since);
      await this.#run("delivery", fault);
    }
    if ((since / HOUR) % 24 !== DAILY_HOUR) return;
    this.#turnTo(this.world.now.getTime() + 60_000);
    await this.#run("daily run", isQuiet ? undefined : this.#weather.dailyRun(since));
    this.#turnTo(this.world.now.getTime() + 150_000);
    await this.#run("delivery", isQuiet ? undefined : this.#weather.delivery(since));
  }

  /** Somebody changes in the dashboard what Stripe does by itself about a payment that fails. */
  #decideSettings(): void {
    Object.assign(this.world.local.settings, {
      afterFirstFailure: this.#dashboard.pick(["past_due", "past_due", "pause"]),
      afterRetries: this.#dashboard.pick(["past_due", "past_due", "pause", "pause", "unpaid", "cancel"]),
      resumeWhenPaid: this.#dashboard.pick(["no", "no", "now", "unchanged"]),
      retryDays: this.#dashboard.pick([[1, 2], [1, 2, 2, 2, 2, 2, 3], [1, 2, 2, 2, 2, 2, 3], [3]]),
    });
  }

  /** Never back: a run may have taken until after the time for which an act was planned. */
  #turnTo(time: number): void {
    const later = Math.max(time, this.world.now.getTime());
    this.world.now = new Date(Math.floor(later / 1000) * 1000);
    this.world.local.tick();
  }

  #actsBetween(from: number, until: number): { customer: SimulatedCustomer; act: PlannedAct }[] {
    return this.customers
      .flatMap((customer) =>
        customer.plan.acts.filter(({ at }) => at > from && at <= until).map((act) => ({ customer, act })),
      )
      .sort((one, other) => one.act.at - other.act.at);
  }

  /** Runs deliver or the daily job, as often and as badly as the weather has it, and carries what came of it. */
  async #run(what: "delivery" | "daily run", fault: RunFault | undefined): Promise<void> {
    const { world } = this;
    const parts = this.#partsIn(fault);
    const crash = crashAt(fault?.crash ?? null);
    this.#watch.begin();
    const slow = new SlowAnswer(world, fault?.hiccup ?? null, async (path) => {
      this.slowReads += 1;
      await this.#watch.payWhatIsRead(path);
      await this.post.carry();
    });
    const runs = Array.from({ length: fault?.runs ?? 1 }, (_, index) => {
      const reach = index === 0 ? crash.reach : undefined;
      const own: DeliverParts = {
        ...parts,
        reach: this.#watch.reach(reach, this.settings.isFoul && fault !== undefined, this.#random),
      };
      const run = what === "delivery" ? deliver(own, world.now) : chase(own, world.now);
      return index === 0 ? Promise.race([run, crash.killed]) : run;
    });
    const results = await Promise.allSettled(runs);
    await slow.over();
    for (const result of results) {
      if (result.status === "rejected" && !(result.reason instanceof Crashed)) throw result.reason;
    }
    if (crash.hasCrashed()) this.crashes.push(`${world.now.toISOString()} ${what}: ${fault?.crash?.point}`);
    world.local.faults.clear();
    world.inbox.faults.clear();
    this.ends.push(...(await this.#watch.look()));
    await this.post.carry();
    await this.post.report();
  }

  #partsIn(fault: RunFault | undefined): DeliverParts {
    const { local, inbox, parts } = this.world;
    if (fault === undefined) return parts;
    const { hiccup, stripeIsAway, resendIsAway, hasWrongKey } = fault;
    if (hiccup !== null && hiccup.kind !== "slow") {
      const isError = hiccup.kind.startsWith("error");
      const action = (isError ? { kind: hiccup.kind, status: 500 } : { kind: hiccup.kind }) as {
        kind: "reset";
      };
      (hiccup.of === "stripe" ? local : inbox).faults.add({ skip: hiccup.skip, action });
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
