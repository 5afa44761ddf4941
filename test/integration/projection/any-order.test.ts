import { afterAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import type { Account } from "../../support/histories/account.ts";
import { orderCounterexample } from "../../support/histories/counterexample.ts";
import { makeHistory } from "../../support/histories/history.ts";
import {
  type HistoryBreach,
  type HistoryInvariant,
  IN_ORDER,
  isLastTold,
  sameStateAs,
  stateInvariants,
} from "../../support/histories/invariants.ts";
import { type Play, play } from "../../support/histories/play.ts";
import { API_VERSIONS } from "../../support/old-shapes.ts";
import { SEED } from "../../support/seed.ts";
import { Player } from "../../support/simulation/player.ts";

/** DUEBASE_SEED replays a run; DUEBASE_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_HISTORIES ?? 60);
const SHUFFLES = 2;

const SHUFFLED = Array.from({ length: SHUFFLES }, (_, index) => index + 1);
const PARALLEL = SHUFFLES + 1;
const EVERY_RUN = [IN_ORDER, ...SHUFFLED, PARALLEL];

const OF_ORDER: Record<string, HistoryInvariant> = {
  ...Object.fromEntries(
    SHUFFLED.map((run) => [
      `shuffled, one by one, ends in the state of the true order (run ${run})`,
      sameStateAs(run),
    ]),
  ),
  "eight at a time ends in the state of the true order": sameStateAs(PARALLEL),
};
const OF_STATE = stateInvariants(EVERY_RUN);

let database: TestDatabase;
let played: Play;

const player = new Player<Play, HistoryBreach>({
  name: "any-order",
  variable: "DUEBASE_HISTORIES",
  number: COUNT,
  // Ten seconds a history: many times what one takes on a quiet machine.
  timeout: Math.max(600_000, COUNT * 10_000),
  invariants: { ...OF_ORDER, ...OF_STATE },
  async *play() {
    database = await createTestDatabase();
    played = await play(database, { seed: SEED, count: COUNT, shuffles: SHUFFLES, connections: 8 });
    yield played;
  },
  subjectOf: ({ history }) => `seed ${played.histories[history]?.seed}`,
  explain: async ({ history, run }, { histories }, invariant) => {
    const { orders = [] } = histories[history] ?? {};
    if (!(invariant in OF_ORDER)) return "";
    const scratch = await createTestDatabase();
    return await orderCounterexample(scratch, orders[IN_ORDER] ?? [], orders[run] ?? []).finally(() =>
      scratch.drop(),
    );
  },
  figures: () => ({ histories: COUNT, ...played.tally, laps: played.laps }),
});
player.playBeforeAll();
afterAll(() => database?.drop());

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

  it("have seconds in which the order cannot be known, deletions without a last state, sign-ups, and objects that name an account alone", () => {
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
        played.finalStateOf(IN_ORDER, index)?.get("open_dunning_cases"),
      );
      expect(withCases.length).toBeGreaterThan(COUNT / 20);
      const resumable = played.histories.filter((_, index) =>
        played.finalStateOf(IN_ORDER, index)?.get("open_resumptions"),
      );
      expect(resumable.length).toBeGreaterThan(COUNT / 1000);
    },
  );

  it("leave users with features, and take some of them away again", async () => {
    const holders = played.histories.filter((_, index) =>
      played.finalStateOf(IN_ORDER, index)?.get("entitlements"),
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

  player.testInvariants(Object.keys(OF_ORDER));
});

describe("what is shown", () => player.testInvariants(Object.keys(OF_STATE)));
