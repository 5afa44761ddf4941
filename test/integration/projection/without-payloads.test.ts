import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import type { Step } from "../../support/histories/account.ts";
import { deliverInSequence, runMinutelyJobs } from "../../support/histories/delivery.ts";
import { makeHistory } from "../../support/histories/history.ts";
import { difference, readStates, type State } from "../../support/histories/state.ts";
import { VISIBLE_METADATA } from "../../support/histories/truth.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

/** DUEBASE_SEED replays a run; DUEBASE_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_HISTORIES ?? 60);

let database: TestDatabase;
let states: Map<string, State>;
let dropped = 0;

const tagOf = (run: number, history: number) => `e${run}${history.toString(16).padStart(6, "0")}`;

/** What happened in any order, in two parts. Stripe sends nothing of a second that is long over: none is in both. */
function inTwoParts(seed: number): [early: Step[], late: Step[]] {
  const random = new Random(seed ^ 0x2545f491);
  const seconds = new Map<string, Step[]>();
  for (const step of makeHistory(seed).steps) {
    const at = step.kind === "event" ? step.event.created : step.kind === "read" ? step.at : step.kind;
    seconds.set(String(at), [...(seconds.get(String(at)) ?? []), step]);
  }
  const mixed = random.shuffled([...seconds.values()]);
  const half = random.int(1, Math.max(mixed.length - 1, 1));
  return [random.shuffled(mixed.slice(0, half).flat()), random.shuffled(mixed.slice(half).flat())];
}

async function deliver(run: number, parts: Step[][]): Promise<void> {
  for (const [history, steps] of parts.entries())
    await deliverInSequence(database.sql, { tag: tagOf(run, history), steps });
}

/** Every payload that may go at any age goes. */
async function dropPayloads(): Promise<void> {
  for (;;) {
    const [row] = await database.sql<{ dropped: string | null }[]>`
      select billing_private.drop_payloads(now() + interval '1 year', now() + interval '2 years') as dropped`;
    if (row?.dropped == null) return;
    dropped += Number(row.dropped);
  }
}

beforeAll(
  async () => {
    database = await createTestDatabase();
    await database.sql`update billing.settings set visible_metadata = ${VISIBLE_METADATA} where id`;
    const histories = Array.from({ length: COUNT }, (_, index) => inTwoParts(SEED + index));
    await deliver(
      0,
      histories.map(([early]) => early),
    );
    await dropPayloads();
    await deliver(
      0,
      histories.map(([, late]) => late),
    );
    await deliver(
      1,
      histories.map((parts) => parts.flat()),
    );
    await runMinutelyJobs(database.sql);
    states = await readStates(database.sql);
  },
  Math.max(600_000, COUNT * 10_000),
);
afterAll(() => database?.drop());

it("ends in the state that it has with every payload, whatever comes after they were dropped", () => {
  const different = Array.from({ length: COUNT }, (_, history) => ({
    seed: SEED + history,
    lines: difference(states.get(tagOf(1, history)), states.get(tagOf(0, history))),
  })).filter(({ lines }) => lines.length > 0);
  expect(different).toEqual([]);
});

it("has dropped payloads, and received others where no partition was left", async () => {
  expect(dropped).toBeGreaterThan(COUNT);
  const [row] = await database.sql<{ strays: number }[]>`
    select count(*)::int as strays from billing_private.webhook_payloads_default`;
  expect(row?.strays).toBeGreaterThan(COUNT);
});
