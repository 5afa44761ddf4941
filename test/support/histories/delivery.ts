import type { Sql } from "postgres";
import type { Received } from "../database.ts";
import type { Random } from "../simulation/random.ts";
import type { Step } from "./account.ts";
import { NO_TAG } from "./history.ts";

/** Steps in the order in which they are to happen, under ids of their own. */
export interface Delivery {
  tag: string;
  steps: Step[];
}

/** How often `receive_event` gave each answer. */
export type Tally = Partial<Record<Received, number>>;

/** The same text with the ids of one tag in place of another's. */
export function retag(text: string, from: string, to: string): string {
  return text.replaceAll(from, to).replaceAll(from.toUpperCase(), to.toUpperCase());
}

/** The steps in a random order, some events twice or three times, some quarantined and replayed later. */
export function withDeliveryFaults(random: Random, steps: readonly Step[]): Step[] {
  const repeated = steps.flatMap((step): Step[] => {
    if (step.kind !== "event") return [step];
    const one: Step = random.chance(0.06) ? { ...step, isWithheld: true } : step;
    return random.chance(0.25) ? Array.from({ length: random.int(2, 3) }, () => one) : [one];
  });
  const mixed = random.shuffled(repeated);
  for (const one of new Set(mixed)) {
    if (one.kind !== "event" || !one.isWithheld) continue;
    const replay: Step = { kind: "replay", id: one.event.id };
    mixed.splice(random.int(mixed.indexOf(one) + 1, mixed.length), 0, replay);
  }
  return mixed;
}

/** Delivers an event while the settings have the other mode, so that it is quarantined. */
export async function withhold(sql: Sql, event: string): Promise<Received> {
  const [answer] = await sql.begin(async (transaction) => {
    await transaction`update billing.settings set livemode = true where id`;
    const received = await transaction<{ outcome: Received }[]>`
      select billing.receive_event(${event}::text::jsonb) as outcome
    `;
    await transaction`update billing.settings set livemode = false where id`;
    return received;
  });
  if (!answer) throw new Error("receive_event returned nothing");
  return answer.outcome;
}

/** Delivers one after the other over one connection. */
export async function deliverInSequence(sql: Sql, { tag, steps }: Delivery): Promise<Tally> {
  const tally: Tally = {};
  let events: string[] = [];
  const send = async () => {
    if (events.length === 0) return;
    const text = retag(`[${events.join(",")}]`, NO_TAG, tag);
    events = [];
    const answers = await sql<{ outcome: Received }[]>`
      select billing.receive_event(event) as outcome
      from jsonb_array_elements(${text}::text::jsonb) with ordinality as sent (event, position)
      order by position
    `;
    for (const { outcome } of answers) count(tally, outcome);
  };
  for (const step of steps) {
    if (step.kind === "event" && step.isWithheld) {
      await send();
      count(tally, await withhold(sql, retag(JSON.stringify(step.event), NO_TAG, tag)));
    } else if (step.kind === "event") {
      events.push(JSON.stringify(step.event));
    } else {
      await send();
      await applyStep(sql, step, tag);
    }
  }
  await send();
  return tally;
}

/** Delivers over several connections at once, each event in a transaction of its own. */
export async function deliverInParallel(connections: Sql[], deliveries: Delivery[]): Promise<Tally> {
  const tally: Tally = {};
  const queues = connections.map((): (() => Promise<void>)[] => []);
  let turn = 0;
  // A withheld event and its replay may go over different connections, so all replays come last.
  const last = ({ kind }: Step) => kind === "replay";
  const mixed = deliveries.flatMap(({ tag, steps }) => steps.map((step) => ({ tag, step })));
  for (const late of [false, true]) {
    for (const { tag, step } of mixed.filter((one) => last(one.step) === late)) {
      const lane = turn++ % connections.length;
      const sql = connections[lane] as Sql;
      queues[lane]?.push(async () => {
        if (step.kind !== "event") {
          await applyStep(sql, step, tag);
          return;
        }
        const text = retag(JSON.stringify(step.event), NO_TAG, tag);
        if (step.isWithheld) {
          count(tally, await withhold(sql, text));
          return;
        }
        const [answer] = await sql<{ outcome: Received }[]>`
          select billing.receive_event(${text}::text::jsonb) as outcome
        `;
        if (answer) count(tally, answer.outcome);
      });
    }
    await Promise.all(
      queues.map(async (queue) => {
        for (const send of queue.splice(0)) await send();
      }),
    );
  }
  return tally;
}

/** Runs what cron runs every minute. It completes what was received at the same moment as something it depends on. */
export async function runMinutelyJobs(sql: Sql): Promise<void> {
  await sql`select billing_private.link_waiting_customers(now(), 1000000)`;
  await sql`
    do $$ begin while billing_private.recount_entitlements(now() + interval '1 minute') loop commit; end loop; end $$
  `;
}

/** Reads an object, replays an event or signs somebody up. */
export async function applyStep(
  sql: Sql,
  step: Exclude<Step, { kind: "event" }>,
  tag: string,
): Promise<void> {
  if (step.kind === "read") {
    const object = retag(JSON.stringify(step.object), NO_TAG, tag);
    // First the same read with a key of the other mode: it is refused and changes nothing.
    await sql`select billing.apply_refresh(${object}::text::jsonb || '{"livemode": true}', to_timestamp(${step.at}))`.catch(
      (error: { code?: string }) => {
        if (error.code !== "DU058") throw error;
      },
    );
    await sql`select billing.apply_refresh(${object}::text::jsonb, to_timestamp(${step.at}))`;
    return;
  }
  if (step.kind === "replay") {
    const event = retag(step.id, NO_TAG, tag);
    const [known] = await sql`select from billing.webhook_events where id = ${event}`;
    if (known) await sql`select billing.replay_failed_webhook(${event})`;
    return;
  }
  const id = retag(step.userId, NO_TAG, tag);
  await sql`
    insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
    values (${id}, 'authenticated', 'authenticated', ${`${id}@example.com`}, now(), now(), now())
  `;
}

/** Counts one answer. */
export function count(tally: Tally, outcome: Received): void {
  tally[outcome] = (tally[outcome] ?? 0) + 1;
}
