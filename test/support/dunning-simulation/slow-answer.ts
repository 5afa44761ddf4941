import { setTimeout as wait } from "node:timers/promises";
import type { DunningWorld } from "../dunning-world.ts";
import type { RunFault } from "./faults.ts";

/** How long Stripe takes to answer (milliseconds). */
const ANSWERED_AFTER = 250;

/** Has Stripe answer one read of a run late, and lets something change before the answer arrives. */
export class SlowAnswer {
  #isOver = false;
  readonly #watching: Promise<void>;

  constructor(
    world: DunningWorld,
    answerFault: RunFault["answerFault"],
    change: (path: string) => Promise<void>,
  ) {
    this.#watching =
      answerFault?.kind === "slow" ? this.#watch(world, answerFault.skip, change) : Promise.resolve();
  }

  /** Stops waiting for a read: the run has ended. */
  async over(): Promise<void> {
    this.#isOver = true;
    await this.#watching;
  }

  async #watch(world: DunningWorld, skip: number, change: (path: string) => Promise<void>): Promise<void> {
    const { faults, ledger } = world.local;
    const match = { method: "GET", path: /^\/v1\/(invoices|subscriptions)\/[a-z]+_\w+$/ };
    faults.add({ match, skip: skip % 3, action: { kind: "slow-answer", milliseconds: ANSWERED_AFTER } });
    while (faults.pending > 0 && !this.#isOver) await wait(5);
    if (faults.pending > 0) return;
    const read = ledger.requests.findLast(({ method, path }) => method === "GET" && match.path.test(path));
    if (read !== undefined) await change(read.path);
  }
}
