/**
 * What is left of the rate, and whether anything acknowledged is lost, when the function and the database are killed in
 * turn under load. What is not answered 2xx is sent again, as Stripe does.
 */
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { deliver } from "./deliver.ts";
import type { BenchRow } from "./report.ts";
import type { SignedEvent, StackUnderLoad } from "./stacks.ts";

/** Of each; the function first. */
const KILLS = 2;
const EVENTS = 600;
/** A fault happens within this time after its number of answers: anywhere in a call, and not only after one. */
const FAULT_WITHIN_MS = 20;
/** Stripe waits minutes to days. */
const FIRST_BACKOFF_MS = 25;
const LONGEST_BACKOFF_MS = 400;
const MOST_MINUTES = 2;

/**
 * Takes some ten seconds.
 *
 * @throws Error where an event that was acknowledged is not stored with its payload or will never be projected, or where
 * not all are acknowledged within two minutes
 */
export async function benchKills(side: StackUnderLoad, connections: number): Promise<BenchRow> {
  const events = Array.from({ length: EVENTS }, side.nextEvent);
  const waiting = [...events];
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const faults = Array.from({ length: 2 * KILLS }, (_, index) => ({
    after: Math.round(((index + 1) * EVENTS) / (2 * KILLS + 1)),
    happens: () => (index % 2 === 0 ? killFunction(side) : crashDatabase(side)),
  }));
  const begun: Promise<void>[] = [];
  const deadline = performance.now() + MOST_MINUTES * 60_000;
  let acknowledged = 0;
  let refused = 0;
  const connection = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const before = await deliverUntilAcknowledged(agent, side.url, next, deadline);
      refused += before;
      acknowledged++;
      const [fault] = faults;
      if (!fault || acknowledged < fault.after) continue;
      faults.shift();
      const happening = fault.happens();
      // Reported when all is delivered. Until then nothing awaits it.
      happening.catch(() => {});
      begun.push(happening);
    }
  };
  // The Data API, which is a part of this process, prints a line for each call that fails.
  const { error: printError } = console;
  console.error = () => {};
  const started = performance.now();
  try {
    await Promise.all(Array.from({ length: connections }, connection));
    const seconds = (performance.now() - started) / 1000;
    await Promise.all(begun);
    await expectAllKept(side, events);
    return {
      name: `acknowledged, ${connections} connection${connections === 1 ? "" : "s"}, function and database killed ${KILLS} times each, ${refused} deliveries refused`,
      value: EVENTS / seconds,
      unit: "events/s",
      target: "nothing acknowledged is lost",
      met: true,
    };
  } finally {
    console.error = printError;
    agent.destroy();
  }
}

/** Ends the function's process as a crash would; the stack starts it again. */
async function killFunction({ webhook }: StackUnderLoad): Promise<void> {
  await sleep(Math.random() * FAULT_WITHIN_MS);
  if (!webhook.pid) throw new Error("the function has no process to kill");
  await webhook.kill();
}

/** Ends the database server as a crash would, and starts it again. */
async function crashDatabase({ stack }: StackUnderLoad): Promise<void> {
  await sleep(Math.random() * FAULT_WITHIN_MS);
  await stack.postgres.stopImmediate();
  await stack.postgres.start();
}

/** How often it was refused, or not answered, before. */
async function deliverUntilAcknowledged(
  agent: Agent,
  url: string,
  { id, payload, signature }: SignedEvent,
  deadline: number,
): Promise<number> {
  for (let refused = 0; ; refused++) {
    try {
      await deliver(agent, url, payload, signature, performance.now());
      return refused;
    } catch (error) {
      if (performance.now() >= deadline)
        throw new Error(`event ${id} was not acknowledged in ${MOST_MINUTES} minutes`, { cause: error });
      await sleep(Math.min(FIRST_BACKOFF_MS * 2 ** refused, LONGEST_BACKOFF_MS));
    }
  }
}

async function expectAllKept({ sql }: StackUnderLoad, events: SignedEvent[]): Promise<void> {
  const ids = events.map(({ id }) => id);
  const lost = await sql`
    select i.id from unnest(${ids}::text[]) as i (id)
    left join billing.stripe_events as e on e.id = i.id
    where e.payload is null
  `;
  if (lost[0]) throw new Error(`${lost.length} acknowledged events are not stored, ${lost[0].id} among them`);
  const [dead] = await sql`
    select event_id, error ->> 'message' as message from billing.failed_webhooks
    where status not in ('resolved', 'retrying')
  `;
  if (dead) throw new Error(`bench event ${dead.event_id} was not projected: ${dead.message}`);
}
