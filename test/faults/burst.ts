import type { Sql } from "postgres";
import { expect } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { type Delivery, deliverInSequence, retag, runMinutelyJobs } from "../support/histories/delivery.ts";
import { makeHistory, NO_TAG } from "../support/histories/history.ts";
import { difference, readStates, type State } from "../support/histories/state.ts";
import type { StripeEvent } from "../support/stripe/events.ts";
import { projections } from "./effects.ts";
import type { StripeSender } from "./stripe-sender.ts";

/** The events that Stripe sends for the subscribers of some accounts. */
export interface Burst {
  /** Each account's history as it happened, under a tag of its own. */
  histories: Delivery[];
  /** The events of all of them, under their final ids, each history's in order. */
  events: StripeEvent[];
  /** Users who sign up in them. */
  users: string[];
}

/** Some 200 events of about seven customers: subscriptions, their invoices and payments. The same for the same seed. */
export function makeBurst(seed: number, accounts = 5): Burst {
  const histories = Array.from({ length: accounts }, (_, index): Delivery => {
    const tag = `${(seed % 0xffffff).toString(16).padStart(6, "0")}${index.toString(16).padStart(2, "0")}`;
    // Only what webhooks bring is delivered here. Reads from Stripe are done by duebase-deliver.
    const { steps } = makeHistory(seed * accounts + index);
    return { tag, steps: steps.filter((one) => one.kind !== "read") };
  });
  const events: StripeEvent[] = [];
  const users: string[] = [];
  for (const { tag, steps } of histories) {
    for (const one of steps) {
      if (one.kind === "signUp") users.push(retag(one.userId, NO_TAG, tag));
      else if (one.kind === "event")
        events.push(JSON.parse(retag(JSON.stringify(one.event), NO_TAG, tag)) as StripeEvent);
    }
  }
  return { histories, events, users };
}

/**
 * What must hold after any fault, once every delivery has been acknowledged. What was answered 2xx is stored. Each event
 * is stored once, and projected once, wholly; or not at all, and then the reason is kept.
 */
export async function expectEachEventOnce(sql: Sql, sender: StripeSender, { events }: Burst): Promise<void> {
  const ids = events.map(({ id }) => id);
  const stored = await sql<{ id: string }[]>`select id from billing.webhook_events where id = any(${ids})`;
  const kept = new Set(stored.map(({ id }) => id));
  expect([...sender.acknowledged].filter((id) => !kept.has(id))).toEqual([]);
  expect([...kept].toSorted()).toEqual(ids.toSorted());

  const owed = await sql<{ event_id: string }[]>`
    select event_id from billing.failed_webhooks where status <> 'resolved'
  `;
  const unprojected = new Set(owed.map(({ event_id }) => event_id));
  const handled = await sql<
    { type: string }[]
  >`select distinct event_type as type from billing.event_handlers`;
  const isHandled = new Set(handled.map(({ type }) => type));
  const found = await projections(sql);
  const wrong = events.filter(
    ({ id, type }) => found[id] !== (isHandled.has(type) && !unprojected.has(id) ? "begun done" : undefined),
  );
  expect(wrong.map(({ id, type }) => [id, type, found[id]])).toEqual([]);
}

/** Fails with the rows that differ from the state after the same events in order and without faults. */
export async function expectUndisturbedState(sql: Sql, burst: Burst): Promise<void> {
  await retryWhatFailed(sql);
  await runMinutelyJobs(sql);
  const states = await readStates(
    sql,
    burst.histories.map(({ tag }) => tag),
  );
  const undisturbed = await undisturbedStates(burst);
  for (const { tag } of burst.histories) {
    expect(undisturbed.get(tag)?.get("webhook_events")?.length).toBeGreaterThan(0);
    expect(difference(undisturbed.get(tag), states.get(tag))).toEqual([]);
  }
}

/** Projects what lost a race and is to be retried, as the minute's job does, until nothing is owed. */
async function retryWhatFailed(sql: Sql): Promise<void> {
  for (let tick = 1; tick <= 10; tick++) {
    const [owed] = await sql<{ count: string }[]>`
      select count(*) from billing.failed_webhooks where status in ('retrying', 'dead')
    `;
    if (owed?.count === "0") return;
    const tryNext = () =>
      sql`select billing.retry_failed_webhook(now() + make_interval(hours => ${tick})) as was_tried`;
    while ((await tryNext())[0]?.was_tried);
  }
  const left =
    await sql`select event_id, status, error ->> 'message' as message from billing.failed_webhooks`;
  throw new Error(`projections still fail: ${JSON.stringify(left)}`);
}

async function undisturbedStates({ histories }: Burst): Promise<Map<string, State>> {
  const undisturbed = await createTestDatabase();
  try {
    for (const history of histories) await deliverInSequence(undisturbed.sql, history);
    await runMinutelyJobs(undisturbed.sql);
    return await readStates(undisturbed.sql);
  } finally {
    await undisturbed.drop();
  }
}
