import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const COUNT = 400;
const FAILED = 1_780_308_000;
const CUSTOMER = "cus_many";

let database: TestDatabase;
let events = 0;

const invoice = (index: number, change: object = {}) => ({
  id: `in_many_${index}`,
  object: "invoice",
  customer: CUSTOMER,
  status: "open",
  collection_method: "charge_automatically",
  billing_reason: "manual",
  currency: "eur",
  amount_due: 100,
  amount_remaining: 100,
  amount_paid: 0,
  attempt_count: 1,
  created: FAILED,
  ...change,
});

/** Receives one event. Returns the milliseconds it took. */
async function tell(type: string, object: object, at = FAILED): Promise<number> {
  const event = {
    id: `evt_many_${++events}`,
    object: "event",
    type,
    created: at,
    livemode: false,
    data: { object },
  };
  const began = performance.now();
  const outcome = await database.receive(event, new Date(at * 1000));
  if (outcome !== "processed") throw new Error(`${type}: ${outcome}`);
  return performance.now() - began;
}

const checked = [CUSTOMER, ...Array.from({ length: COUNT }, (_, index) => `in_many_${index}`)];

/** Takes the steps that are due. Returns what was done, and the milliseconds it took: the best of three tries. */
async function take(at: number, keeps = true): Promise<{ counts: Record<string, number>; ms: number }> {
  let ms = Number.POSITIVE_INFINITY;
  let counts: Record<string, number> = {};
  for (const keep of [false, false, keeps]) {
    const began = performance.now();
    await database
      .asService(async (sql) => {
        const [row] =
          await sql`select billing.take_dunning_steps(${CUSTOMER}, ${checked}, to_timestamp(${at})) as took`;
        counts = row?.took as Record<string, number>;
        if (!keep) throw new Error("once more");
      })
      .catch((error: Error) => {
        if (error.message !== "once more") throw error;
      });
    ms = Math.min(ms, performance.now() - began);
  }
  return { counts, ms };
}

const median = (times: number[]) => times.toSorted((one, other) => one - other)[times.length >> 1] ?? 0;

beforeAll(async () => {
  database = await createTestDatabase();
  await tell("customer.created", { id: CUSTOMER, object: "customer", email: "many@example.com" });
}, 120_000);
afterAll(() => database.drop());

// What is promised is 100 ms and 2 s. Where the machine is busy with other tests, four times as many invoices may take
// eight times as long, and not sixteen times, as they would if every case were compared with every other.
it("a customer with 400 overdue invoices: an event takes under 100 ms and a run under 2 s", async () => {
  const opening: number[] = [];
  let quarter = 0;
  for (let index = 0; index < COUNT; index++) {
    opening.push(await tell("invoice.payment_failed", invoice(index)));
    if (index === COUNT / 4) quarter = (await take(FAILED + 120, false)).ms;
  }
  const event = Math.max(100, 4 * median(opening.slice(0, 20)));
  expect(median(opening.slice(-20))).toBeLessThan(event);

  const again: number[] = [];
  for (let index = 0; index < 20; index++)
    again.push(await tell("invoice.updated", invoice(index), FAILED + 60));
  expect(median(again)).toBeLessThan(event);

  const run = await take(FAILED + 120);
  expect(run.counts).toMatchObject({ mails: 1, ends: 0 });
  expect(run.ms).toBeLessThan(Math.max(2_000, 8 * quarter));
  const [{ actions } = {}] = await database.sql`select count(*)::int as actions from billing.dunning_actions`;
  expect(actions).toBe(COUNT);

  // One is paid before the mail has left: it is written anew, after one more check.
  const paid = [
    await tell(
      "invoice.paid",
      invoice(0, { status: "paid", amount_remaining: 0, amount_paid: 100 }),
      FAILED + 180,
    ),
    await tell(
      "invoice.paid",
      invoice(1, { status: "paid", amount_remaining: 0, amount_paid: 100 }),
      FAILED + 181,
    ),
  ];
  expect(Math.min(...paid)).toBeLessThan(2 * event);
  const checks = await database.sql`
    select id from billing.outbox where dedupe_key like ${`dunning:${CUSTOMER}:withdrawn:%`}`;
  expect(checks).toHaveLength(1);
  const anew = await take(FAILED + 240);
  expect(anew.counts).toMatchObject({ mails: 1 });
  expect(anew.ms).toBeLessThan(Math.max(2_000, 8 * quarter));
  console.log(
    `400 overdue invoices: an event ${median(opening.slice(-20)).toFixed(1)} ms, a run ${run.ms.toFixed(0)} and ${anew.ms.toFixed(0)} ms, a payment ${Math.max(...paid).toFixed(0)} ms`,
  );
}, 120_000);
