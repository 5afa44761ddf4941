import type { Sql } from "postgres";
import type { Received } from "../database.ts";
import type { Happening } from "./account.ts";
import { NO_TAG } from "./history.ts";
import type { Random } from "./random.ts";

/** What is to happen in which order, under ids of its own. */
export interface Delivery {
  tag: string;
  happenings: Happening[];
}

/** How many times `receive_event` gave which answer. */
export type Tally = Partial<Record<Received, number>>;

/** The same text with the ids of one tag in place of another's. */
export function retag(text: string, from: string, to: string): string {
  return text.replaceAll(from, to).replaceAll(from.toUpperCase(), to.toUpperCase());
}

/** Mixes what happened into any order, some of it twice or three times. */
export function storm(random: Random, happenings: readonly Happening[]): Happening[] {
  const repeated = happenings.flatMap((one) =>
    one.kind === "event" && random.chance(0.25) ? Array.from({ length: random.int(2, 3) }, () => one) : [one],
  );
  return random.shuffled(repeated);
}

/** Delivers one after the other over one connection. */
export async function deliverInSequence(sql: Sql, { tag, happenings }: Delivery): Promise<Tally> {
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
  for (const happening of happenings) {
    if (happening.kind === "event") {
      events.push(JSON.stringify(happening.event));
    } else {
      await send();
      await happen(sql, happening, tag);
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
  for (const { tag, happenings } of deliveries) {
    for (const happening of happenings) {
      const lane = turn++ % connections.length;
      const sql = connections[lane] as Sql;
      queues[lane]?.push(async () => {
        if (happening.kind !== "event") {
          await happen(sql, happening, tag);
          return;
        }
        const text = retag(JSON.stringify(happening.event), NO_TAG, tag);
        const [answer] = await sql<{ outcome: Received }[]>`
          select billing.receive_event(${text}::text::jsonb) as outcome
        `;
        if (answer) count(tally, answer.outcome);
      });
    }
  }
  await Promise.all(
    queues.map(async (queue) => {
      for (const send of queue) await send();
    }),
  );
  return tally;
}

/** Runs what cron runs every minute, for what happened in the very moment of something it depends on. */
export async function runMinutelyJobs(sql: Sql): Promise<void> {
  await sql`select billing_private.link_waiting_customers(now(), 1000000)`;
  await sql`
    do $$ begin while billing_private.recount_entitlements(now() + interval '1 minute') loop commit; end loop; end $$
  `;
}

async function happen(
  sql: Sql,
  happening: Exclude<Happening, { kind: "event" }>,
  tag: string,
): Promise<void> {
  if (happening.kind === "read") {
    const object = retag(JSON.stringify(happening.object), NO_TAG, tag);
    await sql`select billing.apply_refresh(${object}::text::jsonb, to_timestamp(${happening.at}))`;
    return;
  }
  const id = retag(happening.userId, NO_TAG, tag);
  await sql`
    insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
    values (${id}, 'authenticated', 'authenticated', ${`${id}@example.com`}, now(), now(), now())
  `;
}

function count(tally: Tally, outcome: Received): void {
  tally[outcome] = (tally[outcome] ?? 0) + 1;
}
