import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// Who canceled for a later day, and whose subscription was always going to end then. By Stripe's documentation:
// canceled_at is "the time of the most recent update request"; a schedule sets cancel_at and canceled_at by itself.

const CREATED = 1_790_000_000;
const DAY = 86_400;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

let people = 0;
async function shown(change: Record<string, unknown>) {
  const id = `sub_${++people}`;
  const object = {
    id,
    object: "subscription",
    customer: `cus_${people}`,
    status: "active",
    created: CREATED,
    start_date: CREATED,
    cancel_at_period_end: false,
    items: { data: [{ id: `si_${people}`, current_period_end: CREATED + 30 * DAY }] },
    ...change,
  };
  await database.receive({
    id: `evt_${people}`,
    object: "event",
    type: "customer.subscription.updated",
    created: CREATED + 2 * DAY,
    livemode: false,
    data: { object },
  });
  const [row] = await database.sql<{ canceled: boolean; ends: Date | null }[]>`
    select billing_private.is_canceled_for_later(s) as canceled, billing_private.scheduled_end(s) as ends
    from billing.subscriptions as s where s.id = ${id}`;
  return { canceled: row?.canceled, ends: row?.ends ? row.ends.getTime() / 1000 : row?.ends };
}

const periodEnd = CREATED + 30 * DAY;
const later = CREATED + 270 * DAY;
const reason = (feedback: string | null = null) => ({
  cancellation_details: { comment: null, feedback, reason: "cancellation_requested" },
});

it.each<[string, Record<string, unknown>, { canceled: boolean; ends: number | null }]>([
  ["nobody: it goes on", {}, { canceled: false, ends: null }],
  [
    "at the end of the period, as classic billing shows it",
    { cancel_at_period_end: true, cancel_at: periodEnd, canceled_at: CREATED + DAY, ...reason() },
    { canceled: true, ends: periodEnd },
  ],
  [
    "at the end of the period, from before Stripe had cancel_at",
    {
      cancel_at_period_end: true,
      canceled_at: CREATED + DAY,
      items: undefined,
      current_period_end: periodEnd,
    },
    { canceled: true, ends: periodEnd },
  ],
  [
    "at the end of the period, as flexible billing shows it",
    { cancel_at: periodEnd, canceled_at: CREATED + DAY, ...reason() },
    { canceled: true, ends: periodEnd },
  ],
  [
    "for a day months away",
    { cancel_at: later, canceled_at: CREATED + DAY, ...reason() },
    { canceled: true, ends: later },
  ],
  [
    "in the portal, with an answer to why, in the second it was made",
    { cancel_at: periodEnd, canceled_at: CREATED, ...reason("too_expensive") },
    { canceled: true, ends: periodEnd },
  ],
  ["a term set when it was made", { cancel_at: later }, { canceled: false, ends: later }],
  [
    "a term set when it was made, with canceled_at",
    { cancel_at: later, canceled_at: CREATED + 1, ...reason() },
    { canceled: false, ends: later },
  ],
  [
    "a term set by a schedule, which sets canceled_at too",
    { cancel_at: later, canceled_at: CREATED + DAY, schedule: "sub_sched_1" },
    { canceled: false, ends: later },
  ],
  [
    "over already",
    { status: "canceled", cancel_at_period_end: true, canceled_at: CREATED + DAY, ended_at: CREATED + DAY },
    { canceled: false, ends: null },
  ],
])("%s", async (_, change, expected) => {
  expect(await shown(change)).toEqual(expected);
});
