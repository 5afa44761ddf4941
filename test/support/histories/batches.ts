import type { Sql } from "postgres";
import type { Received, ReceivedInBatch } from "../database.ts";
import type { Random } from "../simulation/random.ts";
import { applyStep, count, type Delivery, retag, type Tally, withhold } from "./delivery.ts";
import { NO_TAG } from "./history.ts";

/** `receive_events` takes no more at once. */
const MAX_EVENTS = 100;

/** What came of delivering in batches. */
export interface BatchesTally {
  /** The answers that count: an event that left its batch counts by what it was answered alone. */
  outcomes: Tally;
  batches: number;
  /** Events that were sent in batches. */
  inBatches: number;
  /** Of these, how many were answered `retry_single`. */
  left: number;
  /** Batches whose transaction was rolled back, and which were sent again. */
  rolledBack: number;
}

/**
 * Delivers all at once over several connections, mixed and in batches of any size, with single events, reads and sign-ups in
 * between. What leaves a batch is sent alone. Some batches are rolled back and sent again, as after a lost connection.
 *
 * @param connections clients of one connection each
 */
export async function deliverInBatches(
  connections: readonly Sql[],
  deliveries: readonly Delivery[],
  random: Random,
): Promise<BatchesTally> {
  const tally: BatchesTally = { outcomes: {}, batches: 0, inBatches: 0, left: 0, rolledBack: 0 };
  const steps = random.shuffled(deliveries.flatMap(({ tag, steps }) => steps.map((step) => ({ tag, step }))));
  const inBatch = async (sql: Sql, events: string[]) => {
    const sent = `[${events.join(",")}]`;
    if (random.chance(0.1)) {
      tally.rolledBack++;
      await sql`begin`;
      await receiveAll(sql, sent);
      await sql`rollback`;
    }
    tally.batches++;
    tally.inBatches += events.length;
    for (const [position, answer] of (await receiveAll(sql, sent)).entries()) {
      if (answer === "retry_single") {
        tally.left++;
        count(tally.outcomes, await receiveOne(sql, events[position] ?? ""));
      } else {
        count(tally.outcomes, answer);
      }
    }
  };

  // What is withheld may come over another connection than its replay, so replays come last.
  for (const late of [false, true]) {
    const waiting = steps.filter(({ step }) => (step.kind === "replay") === late);
    await Promise.all(
      connections.map(async (sql) => {
        for (;;) {
          const taken = waiting.splice(0, random.chance(0.3) ? 1 : random.int(2, MAX_EVENTS));
          if (taken.length === 0) return;
          const events: string[] = [];
          for (const { tag, step } of taken) {
            if (step.kind !== "event") await applyStep(sql, step, tag);
            else {
              const event = retag(JSON.stringify(step.event), NO_TAG, tag);
              if (step.isWithheld) count(tally.outcomes, await withhold(sql, event));
              else events.push(event);
            }
          }
          const [only] = events;
          if (events.length > 1) await inBatch(sql, events);
          else if (only !== undefined) count(tally.outcomes, await receiveOne(sql, only));
        }
      }),
    );
  }
  return tally;
}

/** Delivers a JSON array of events in one transaction. Returns an answer per event, in their order. */
export async function receiveAll(sql: Sql, events: string): Promise<ReceivedInBatch[]> {
  const [row] = await sql<{ answers: ReceivedInBatch[] }[]>`
    select billing.receive_events(${events}::text::jsonb) as answers
  `;
  if (!row) throw new Error("receive_events returned nothing");
  return row.answers;
}

async function receiveOne(sql: Sql, event: string): Promise<Received> {
  const [row] = await sql<
    { outcome: Received }[]
  >`select billing.receive_event(${event}::text::jsonb) as outcome`;
  if (!row) throw new Error("receive_event returned nothing");
  return row.outcome;
}
