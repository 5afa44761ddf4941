import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import type { Account } from "../../support/histories/account.ts";
import { caseUntruths, givenCardUntruths } from "../../support/histories/dunning-truth.ts";
import { makeHistory } from "../../support/histories/history.ts";
import { type Play, play } from "../../support/histories/play.ts";
import { resumptionUntruths } from "../../support/histories/resumption-truth.ts";
import { shrink } from "../../support/histories/shrink.ts";
import { difference } from "../../support/histories/state.ts";
import { askedAbout, untruths } from "../../support/histories/truth-check.ts";
import { API_VERSIONS } from "../../support/old-shapes.ts";
import { SEED } from "../../support/seed.ts";

/** DUEBASE_SEED replays a run; DUEBASE_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_HISTORIES ?? 60);
const SHUFFLES = 2;

const IN_ORDER = 0;
const SHUFFLED = Array.from({ length: SHUFFLES }, (_, index) => index + 1);
const PARALLEL = SHUFFLES + 1;
const EVERY_RUN = [IN_ORDER, ...SHUFFLED, PARALLEL];

let database: TestDatabase;
let played: Play;
/** When the histories began to be delivered (Unix seconds). */
const ranAt = Date.now() / 1000;

beforeAll(
  async () => {
    console.log(`any-order: DUEBASE_SEED=${SEED} DUEBASE_HISTORIES=${COUNT}`);
    database = await createTestDatabase();
    played = await play(database, { seed: SEED, count: COUNT, shuffles: SHUFFLES, connections: 8 });
    // Ten seconds a history: many times what one takes on a quiet machine.
  },
  Math.max(600_000, COUNT * 10_000),
);
afterAll(() => database?.drop());

/** Fails with the first history that ends in another state in this run than in order, reduced to what it takes. */
async function expectOneState(run: number): Promise<void> {
  const differing = played.histories.flatMap((history, index) => {
    const lines = difference(played.stateOf(IN_ORDER, index), played.stateOf(run, index));
    return lines.length > 0 ? [{ history, lines }] : [];
  });
  const [first] = differing;
  if (!first) return;
  const { seed, orders } = first.history;
  const scratch = await createTestDatabase();
  const explanation = await shrink(scratch, orders[IN_ORDER] ?? [], orders[run] ?? []).finally(() =>
    scratch.drop(),
  );
  const seeds = differing.map(({ history }) => history.seed).join(", ");
  expect.fail(
    `${differing.length} of ${COUNT} histories differ (seeds ${seeds}).\nSeed ${seed}, run ${run}:\n${first.lines.join("\n")}\n${explanation}`,
  );
}

/** Whether an object's last event is of this second, and nobody has read the object since. */
function isLastTold(account: Account, second: string): boolean {
  const [id = "", time] = second.split(" ");
  return account.lastTold.get(id) === Number(time) && !((account.readAt.get(id) ?? 0) > Number(time));
}

/** Of what Stripe was asked, the objects it could say no more of than that they are deleted. */
function gone(account: Account, asked: Set<string>): Set<string> {
  return new Set([...asked].filter((second) => isGone(account, second.split(" ")[0] ?? "")));
}

function isGone(account: Account, id: string): boolean {
  return account.deletedAt.has(id) && account.get(id).object !== "subscription";
}

// A handful of histories to replay need not have everything.
describe.runIf(COUNT >= 100)("the histories", () => {
  it("have every event type that is handled, in every API version", async () => {
    // The rarest is in one history of forty: counted over a thousand, whether all of them were delivered or not.
    const others = Array.from({ length: Math.max(1_000 - COUNT, 0) }, (_, index) =>
      makeHistory(SEED + COUNT + index),
    );
    const events = [...played.histories.map(({ account }) => account), ...others].flatMap((account) =>
      account.steps.flatMap((one) => (one.kind === "event" ? [one.event] : [])),
    );
    const handled = await database.sql<
      { type: string }[]
    >`select distinct event_type as type from billing.event_handlers`;
    const told = new Set(events.map(({ type }) => type));
    expect(handled.map(({ type }) => type).filter((type) => !told.has(type))).toEqual([]);
    expect(new Set(events.map(({ api_version }) => api_version))).toEqual(new Set(API_VERSIONS));
  });

  it("have seconds in which nobody can tell what came last, deletions without a last state, sign-ups, and objects that name an account alone", () => {
    const count = (holds: (account: Account) => boolean) =>
      played.histories.filter(({ account }) => holds(account)).length;
    const share = COUNT / 20;
    expect(
      count((account) => [...account.isUnclear].some((second) => isLastTold(account, second))),
    ).toBeGreaterThan(share);
    expect(count((account) => account.users.length > 0)).toBeGreaterThan(share);
    expect(
      count((account) =>
        account.steps.some(
          (one) =>
            one.kind === "event" && one.event.data.object.customer_account && !one.event.data.object.customer,
        ),
      ),
    ).toBeGreaterThan(share / 2);
    expect(
      count((account) =>
        account.steps.some((one) => one.kind === "event" && one.event.data.object.deleted === true),
      ),
    ).toBeGreaterThan(share);
  });

  // What is rare shows in a long run.
  it.runIf(COUNT >= 1000)(
    "have pauses of every cause, records of money past Stripe, cards at either level, dunning cases and resumptions",
    () => {
      const objects = played.histories.flatMap(({ account }) =>
        account.steps.flatMap((one) => (one.kind === "event" ? [one.event.data.object] : [])),
      );
      const causes = objects.map(
        ({ status_details: details }) =>
          (details as { paused?: { subscription: { type: string } } } | null)?.paused?.subscription.type,
      );
      expect(new Set(causes.filter((cause) => cause !== undefined))).toEqual(
        new Set([
          "trial_end_without_payment_method",
          "pause_requested",
          "first_payment_failure",
          "final_payment_failure",
          "system",
        ]),
      );
      const have = (holds: (object: (typeof objects)[number]) => boolean) => objects.filter(holds).length;
      expect(
        have(({ payment }) => (payment as { type?: string } | undefined)?.type === "payment_record"),
      ).toBeGreaterThan(COUNT / 100);
      expect(
        have(({ object, payment_record }) => object === "payment_intent" && Boolean(payment_record)),
      ).toBeGreaterThan(0);
      expect(
        have(({ status, billing_reason }) => status === "void" && billing_reason === "subscription_update"),
      ).toBeGreaterThan(0);
      for (const isPaidAfter of [
        ({ pre_payment_credit_notes_amount: credited }: (typeof objects)[number]) => Number(credited) > 0,
        ({ starting_balance: balance }: (typeof objects)[number]) => Number(balance) > 0,
        ({ starting_balance: balance }: (typeof objects)[number]) => Number(balance) < 0,
      ])
        expect(
          have((object) => object.status === "paid" && Number(object.amount_paid) > 0 && isPaidAfter(object)),
        ).toBeGreaterThan(0);
      const given = played.histories.flatMap(({ account }) => account.givenCards);
      for (const kind of ["cus_", "sub_", "pm_"])
        expect(given.filter(({ object }) => object.startsWith(kind)).length).toBeGreaterThan(COUNT / 20);
      expect(given.filter(({ method }) => method === "").length).toBeGreaterThan(0);
      const withCases = played.histories.filter((_, index) =>
        played.settledStateOf(IN_ORDER, index)?.get("open_dunning_cases"),
      );
      expect(withCases.length).toBeGreaterThan(COUNT / 20);
      const resumable = played.histories.filter((_, index) =>
        played.settledStateOf(IN_ORDER, index)?.get("open_resumptions"),
      );
      expect(resumable.length).toBeGreaterThan(COUNT / 1000);
    },
  );

  it("leave users with features, and take some of them away again", async () => {
    const holders = played.histories.filter((_, index) =>
      played.settledStateOf(IN_ORDER, index)?.get("entitlements"),
    );
    expect(holders.length).toBeGreaterThan(COUNT / 10);
    const [row] = await database.sql<{ revoked: number }[]>`
      select count(*)::integer as revoked from billing.audit_events where action = 'entitlement.revoked'
    `;
    expect(row?.revoked).toBeGreaterThan(COUNT / 10);
  });
});

describe("any order, any repetition", () => {
  it("fails no event", async () => {
    const failed =
      await database.sql`select event_id, status, error from billing.failed_webhooks where status <> 'resolved' limit 5`;
    expect(failed).toEqual([]);
    expect(played.tally.failed ?? 0).toBe(0);
  });

  it("stores each event once and counts each repetition", async () => {
    const sent = played.histories.flatMap(({ orders }) =>
      orders.map((order) => order.filter(({ kind }) => kind === "event")),
    );
    const distinct = sent.reduce((sum, events) => sum + new Set(events).size, 0);
    const all = sent.reduce((sum, events) => sum + events.length, 0);
    const [stored] = await database.sql`
      select
        (select count(*)::integer from billing.webhook_events) as events,
        (select count(*)::integer from billing.webhook_duplicates) as duplicates
    `;
    expect(stored).toEqual({ events: distinct, duplicates: all - distinct });
    const { processed = 0, quarantined = 0, duplicate } = played.tally;
    expect({ first: processed + quarantined, duplicate }).toEqual({
      first: distinct,
      duplicate: all - distinct,
    });
    expect(quarantined).toBeGreaterThan(0);
  });

  it.each(SHUFFLED)(
    "shuffled, one by one, ends in the state of the true order (run %i)",
    expectOneState,
    Math.max(120_000, COUNT * 1_000),
  );

  it(
    "eight at a time ends in the state of the true order",
    () => expectOneState(PARALLEL),
    Math.max(120_000, COUNT * 1_000),
  );
});

describe("what is shown", () => {
  it.each(EVERY_RUN)("is true at Stripe, or Stripe is asked (run %i)", (run) => {
    const wrong = played.histories.flatMap(({ seed, account }, history) =>
      untruths(account, played.stateOf(run, history), played.askedOf(run, history)).map(
        (line) => `seed ${seed}: ${line}`,
      ),
    );
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  it.each(EVERY_RUN)("is all true at Stripe once Stripe has answered (run %i)", (run) => {
    const wrong = played.histories.flatMap(({ seed, account }, history) =>
      untruths(account, played.settledStateOf(run, history), gone(account, played.askedOf(run, history))).map(
        (line) => `seed ${seed}: ${line}`,
      ),
    );
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  it.each(EVERY_RUN)("opens a dunning case for every debt, and for nothing else (run %i)", (run) => {
    const wrong = played.histories.flatMap(({ seed, account }, history) =>
      caseUntruths(
        account,
        played.settledStateOf(run, history),
        askedAbout(account, gone(account, played.askedOf(run, history))),
        ranAt,
      ).map((line) => `seed ${seed}: ${line}`),
    );
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  it.each(EVERY_RUN)(
    "plans to resume what was paused for a debt that is paid, and nothing else (run %i)",
    (run) => {
      const wrong = played.histories.flatMap(({ seed, account }, history) =>
        resumptionUntruths(
          account,
          played.settledStateOf(run, history),
          askedAbout(account, gone(account, played.askedOf(run, history))),
          ranAt,
        ).map((line) => `seed ${seed}: ${line}`),
      );
      expect(wrong.slice(0, 20)).toEqual([]);
    },
  );

  it.each(EVERY_RUN)("keeps every card that was given, at either level, and when (run %i)", (run) => {
    const wrong = played.histories.flatMap(({ seed, account }, history) =>
      givenCardUntruths(account, played.stateOf(run, history)).map((line) => `seed ${seed}: ${line}`),
    );
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  it.each(EVERY_RUN)("is read from Stripe wherever nobody can tell what came last (run %i)", (run) => {
    const missing = played.histories.flatMap(({ seed, account }, history) =>
      [...account.isUnclear]
        .filter((second) => isLastTold(account, second) && !played.askedOf(run, history).has(second))
        .map((second) => `seed ${seed}: ${second}`),
    );
    expect(missing.slice(0, 20)).toEqual([]);
  });

  it("is not read from Stripe where the events tell it, as long as they come in order", () => {
    const needless = played.histories.flatMap(({ seed, account }, history) =>
      [...played.askedOf(IN_ORDER, history)]
        .filter((second) => !account.mayBeUnclear.has(second))
        .map((second) => `seed ${seed}: ${second}`),
    );
    expect(needless.slice(0, 20)).toEqual([]);
  });
});
