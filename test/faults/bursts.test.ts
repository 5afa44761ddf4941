import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { SEED } from "../support/seed.ts";
import { Random } from "../support/simulation/random.ts";
import { expectEachEventOnce, expectUndisturbedState, makeBurst } from "./burst.ts";
import { type Cut, CuttingProxy } from "./cutting-proxy.ts";
import { countProjections, projections } from "./effects.ts";
import { type FaultStack, startFaultStack } from "./fault-stack.ts";
import { invoicePaid } from "./invoice-paid.ts";
import { asDelivered, StripeSender } from "./stripe-sender.ts";

/** DUEBASE_SEED replays a run of random faults; DUEBASE_FAULT_RUNS makes more of them, on consecutive seeds. */
const RUNS = Number(process.env.DUEBASE_FAULT_RUNS ?? 2);

let faulty: FaultStack;
let toDataApi: CuttingProxy;
let toFunction: CuttingProxy;
let sender: StripeSender;

beforeAll(async () => {
  console.log(`random faults: DUEBASE_SEED=${SEED} DUEBASE_FAULT_RUNS=${RUNS}`);
  toDataApi = await CuttingProxy.listen();
  toFunction = await CuttingProxy.listen();
  faulty = await startFaultStack({ functionEnv: { SUPABASE_URL: toDataApi.url } });
  await countProjections(faulty.sql);
  toDataApi.target = toFunction.target = Number(new URL(faulty.stack.status.API_URL).port);
}, 120_000);
afterAll(async () => {
  await faulty?.close();
  await Promise.all([toDataApi, toFunction].map((proxy) => proxy?.close()));
});
beforeEach(() => {
  const { STRIPE_WEBHOOK_SECRET } = faulty.stack.status;
  sender = new StripeSender(`${toFunction.url}/functions/v1/duebase-stripe-webhook`, STRIPE_WEBHOOK_SECRET);
});

it("one event posted 1000 times at once is one row, one projection and 999 duplicates, all answered 2xx", {
  timeout: 120_000,
}, async () => {
  const times = 1000;
  const event = invoicePaid("burst");
  await sender.deliver(Array(times).fill(asDelivered(event)), { inFlight: 50, within: 100_000 });

  expect(sender.answers.filter(({ outcome }) => outcome === "processed").length).toBeLessThanOrEqual(1);
  const [counts] = await faulty.sql<
    { events: number; duplicates: number; audited: number; invoices: number }[]
  >`
    select
      (select count(*)::integer from billing.webhook_events where id = ${event.id}) as events,
      (select count(*)::integer from billing.webhook_duplicates where event_id = ${event.id}) as duplicates,
      (select count(*)::integer from billing.audit_events where event_id = ${event.id}) as audited,
      (select count(*)::integer from billing.invoices where id = ${event.data.object.id ?? ""}) as invoices
  `;
  expect(counts).toMatchObject({ events: 1, audited: 1, invoices: 1 });
  expect((await projections(faulty.sql))[event.id]).toBe("begun done");
  // On a slow machine some are not answered in time and are sent again. Each of those may count twice.
  const sentAgain = sender.answers.length - times;
  expect(counts?.duplicates).toBeGreaterThanOrEqual(times - 1);
  expect(counts?.duplicates).toBeLessThanOrEqual(times - 1 + sentAgain);
});

it("the function killed again and again in a burst: nothing acknowledged is lost, nothing counts twice", {
  timeout: 120_000,
}, async () => {
  const burst = makeBurst(1);
  await faulty.signUp(burst.users);
  const killAfter = new Set([20, 60, 100]);
  await sender.deliver(burst.events.map(asDelivered), {
    inFlight: 16,
    within: 90_000,
    onAcknowledged: (count) => (killAfter.has(count) ? faulty.killFunction() : undefined),
  });

  // Each kill must have cut deliveries that were under way. Otherwise nothing was tested.
  const unanswered = sender.answers.filter(({ status }) => status !== 200);
  expect(unanswered.length).toBeGreaterThanOrEqual(killAfter.size);
  expect(new Set(unanswered.map(({ status }) => status))).toEqual(new Set([503]));
  await expectEachEventOnce(faulty.sql, sender, burst);
  await expectUndisturbedState(faulty.sql, burst);
});

it("Postgres crashed twice in a burst: 503 meanwhile, served again without help, nothing lost, nothing twice", {
  timeout: 120_000,
}, async () => {
  const burst = makeBurst(2);
  await faulty.signUp(burst.users);
  await sender.deliver(burst.events.map(asDelivered), {
    inFlight: 16,
    within: 90_000,
    onAcknowledged: (count) => (count === 30 || count === 90 ? crashDatabase(sender, 20) : undefined),
  });

  const refused = sender.answers.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThanOrEqual(2 * 20);
  for (const answer of refused) {
    expect(answer).toMatchObject({
      status: 503,
      outcome: "database_unavailable",
      retryAfter: expect.stringMatching(/^\d+$/),
    });
  }
  await expectEachEventOnce(faulty.sql, sender, burst);
  await expectUndisturbedState(faulty.sql, burst);
});

it.each([1, 4, 16])(
  "the function and Postgres killed in turn under %i connections: nothing acknowledged is lost, nothing counts twice",
  { timeout: 120_000 },
  async (connections) => {
    const burst = makeBurst(10 + connections, 3);
    await faulty.signUp(burst.users);
    const share = Math.floor(burst.events.length / 5);
    // What fails in a crash: one connection is refused again and again, of sixteen each is.
    const refusals = Math.max(3, connections);
    const faults = new Map<number, Fault>([
      [share, () => faulty.killFunction()],
      [2 * share, (one) => crashDatabase(one, refusals)],
      [3 * share, () => faulty.killFunction()],
      [4 * share, (one) => crashDatabase(one, refusals)],
    ]);
    await sender.deliver(burst.events.map(asDelivered), {
      inFlight: connections,
      within: 90_000,
      onAcknowledged: (count) => faults.get(count)?.(sender),
    });

    expect(sender.answers.filter(({ status }) => status !== 200).length).toBeGreaterThanOrEqual(2 * refusals);
    expect(sender.answers.filter(({ status }) => status === 500)).toEqual([]);
    await expectEachEventOnce(faulty.sql, sender, burst);
    await expectUndisturbedState(faulty.sql, burst);
  },
);

it("an event acknowledged in the moment before Postgres crashes is there afterwards, with what it led to", {
  timeout: 60_000,
}, async () => {
  for (let crash = 1; crash <= 2; crash++) {
    const event = invoicePaid(`durable${crash}`);
    expect(await sender.post(asDelivered(event))).toMatchObject({ status: 200, outcome: "processed" });
    await faulty.stack.postgres.stopImmediate();
    await faulty.stack.postgres.start();
    const [row] = await faulty.sql`
      select
        (select count(*)::integer from billing.webhook_events where id = ${event.id}) as events,
        (select count(*)::integer from billing.invoices where id = ${event.data.object.id ?? ""}) as invoices
    `;
    expect(row).toEqual({ events: 1, invoices: 1 });
  }
});

it.each(Array.from({ length: RUNS }, (_, run) => SEED + run))(
  "whatever fails, and whenever, the tables end as if nothing had (DUEBASE_SEED=%i)",
  { timeout: 120_000 },
  async (seed) => {
    const random = new Random(seed);
    const burst = makeBurst(seed);
    await faulty.signUp(burst.users);
    // Some are sent two or three times, and all of them in any order, as Stripe may do.
    const repeated = burst.events.flatMap((event) => Array(random.pick([1, 1, 1, 1, 2, 3])).fill(event));
    const deliveries = random.shuffled(repeated).map(asDelivered);

    // The seed decides what is sent and when faults happen. The result also depends on races.
    const faults = plan(random, deliveries.length);
    toDataApi.decide = toFunction.decide = (): Cut | undefined =>
      random.chance(0.04) ? random.pick<Cut>(["before", "midway", "at answer", "at answer"]) : undefined;
    await sender
      .deliver(deliveries, {
        inFlight: 12,
        within: 90_000,
        onAcknowledged: (count) => faults.get(count)?.(sender),
      })
      .finally(() => {
        toDataApi.decide = toFunction.decide = () => undefined;
      });

    expect(sender.answers.filter(({ status }) => status !== 200).length).toBeGreaterThan(faults.size);
    expect(sender.answers.filter(({ status }) => status === 500)).toEqual([]);
    await expectEachEventOnce(faulty.sql, sender, burst);
    await expectUndisturbedState(faulty.sql, burst);
  },
);

type Fault = (sender: StripeSender) => Promise<void>;

/** Two or three kills of the function and one or two crashes of the database, each after a number of acknowledgements. */
function plan(random: Random, deliveries: number): Map<number, Fault> {
  const kills = Array.from({ length: random.int(2, 3) }, (): Fault => () => faulty.killFunction());
  const crashes = Array.from({ length: random.int(1, 2) }, (): Fault => (one) => crashDatabase(one, 12));
  const share = Math.floor((deliveries * 0.9) / (kills.length + crashes.length));
  return new Map(
    random
      .shuffled([...kills, ...crashes])
      .map((fault, index) => [index * share + random.int(5, share), fault]),
  );
}

/** Stops Postgres as a crash would, and starts it again after a number of failed deliveries. */
async function crashDatabase({ answers }: StripeSender, refusals: number): Promise<void> {
  await faulty.stack.postgres.stopImmediate();
  const enough = answers.length + refusals;
  await vi.waitUntil(() => answers.length >= enough, { timeout: 30_000, interval: 5 });
  await faulty.stack.postgres.start();
  const back = answers.length;
  await vi.waitUntil(() => answers.slice(back).some(({ status }) => status === 200), {
    timeout: 20_000,
    interval: 5,
  });
}
