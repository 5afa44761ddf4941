import { DatabaseMisconfiguredError, DatabaseUnavailableError } from "../_duebase/errors.ts";
import { outcomeIn } from "../_duebase/webhook-endpoint.ts";
import type { ReceivedEvent } from "./event.ts";
import type { TakeTurn } from "./turns.ts";

/** Stores an event; resolves with what became of it once that is committed. */
export type StoreEvent = (event: ReceivedEvent) => Promise<string>;

export type GatherDependencies = {
  /** `billing.receive_event` with the event as JSON text; resolves once it is committed. */
  receiveEvent: (event: string) => Promise<unknown>;
  /** `billing.receive_events` with an array of events as JSON text; resolves once they are committed. */
  receiveEvents: (events: string) => Promise<unknown>;
  /** Waits while too many events of one customer, or of one object without a customer, are being stored one by one. */
  takeTurn: TakeTurn;
};

/** What bounds a batch and what waits for one. Times are in milliseconds, sizes in characters of JSON. */
export type GatherLimits = {
  /** `billing.receive_events` takes a hundred. */
  events: number;
  size: number;
  /** How long an event waits for the answer to what went before it; then it goes all the same. */
  wait: number;
  /** Calls that may be under way at once, without those for what a batch has left over. */
  calls: number;
  /** What may wait; who comes after that is asked to come again (503). */
  waitingEvents: number;
  waitingSize: number;
  /** After this nothing is begun any more for an event: Stripe's patience with an answer is not much longer. */
  patience: number;
};

export const GATHER_LIMITS: GatherLimits = {
  events: 100,
  size: 1_048_576,
  wait: 100,
  calls: 4,
  waitingEvents: 1_000,
  waitingSize: 16 * 1_048_576,
  patience: 7_000,
};

/** Of a batch that failed, how many events are sent at a time, each by itself. */
const SINGLES_AT_ONCE = 3;

/** What `billing.receive_events` answers for an event that it has left out. */
const RETRY_SINGLE = "retry_single";

type Waiting = {
  event: ReceivedEvent;
  since: number;
  resolve: (outcome: string) => void;
  reject: (error: unknown) => void;
};

/**
 * Sends an event to the database at once when no other is on its way there, and otherwise together with all that arrive
 * until the answer is back: where little happens nobody waits, and where much happens many share one transaction. Each
 * event gets its own outcome, after the commit. What a batch leaves out, and all of a batch that fails, is sent by itself.
 */
export function createGatherer(
  dependencies: GatherDependencies,
  limits: GatherLimits = GATHER_LIMITS,
): StoreEvent {
  const { receiveEvent, receiveEvents, takeTurn } = dependencies;
  const waiting: Waiting[] = [];
  let waitingSize = 0;
  let calls = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** A call that those who come after it wait for. */
  const awaited = async <Answer>(answer: () => Promise<Answer>): Promise<Answer> => {
    calls++;
    try {
      return await answer();
    } finally {
      calls--;
      send();
    }
  };

  const storeOne = async ({ event, resolve, reject }: Waiting, call: typeof receiveEvent) => {
    try {
      resolve(outcomeIn(await takeTurn(event.turn, () => call(event.json)), "billing.receive_event"));
    } catch (error) {
      reject(error);
    }
  };

  const storeMany = async (batch: Waiting[]) => {
    const events = `[${batch.map(({ event }) => event.json).join()}]`;
    const outcomes = outcomesIn(await awaited(() => receiveEvents(events)), batch.length);
    for (const [index, one] of batch.entries()) {
      const outcome = outcomes[index] ?? RETRY_SINGLE;
      if (outcome !== RETRY_SINGLE) one.resolve(outcome);
      // It waits for locks that others hold; what comes next need not wait with it.
      else void storeOne(one, receiveEvent);
    }
  };

  /** One event that the database refuses, or that takes all of a statement's time, is found by asking for each alone. */
  const storeEach = async (batch: Waiting[], failure: unknown) => {
    const left = [...batch];
    const lane = async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        if (performance.now() - next.since < limits.patience) await storeOne(next, receiveEvent);
        else next.reject(failure);
      }
    };
    await Promise.all(Array.from({ length: SINGLES_AT_ONCE }, lane));
  };

  const store = async (batch: Waiting[]) => {
    const [first, second] = batch;
    // While it waits for its customer's turn it makes no call, and nobody waits for it.
    if (first && !second) return await storeOne(first, (event) => awaited(() => receiveEvent(event)));
    try {
      await storeMany(batch);
    } catch (error) {
      await storeEach(batch, error);
    }
  };

  const turnAwayTheLate = () => {
    const now = performance.now();
    while (waiting[0] && now - waiting[0].since >= limits.patience) {
      const late = waiting.splice(0, 1);
      waitingSize -= sizeOf(late);
      late[0]?.reject(
        new DatabaseUnavailableError({ reason: "The database is behind with the events before it." }),
      );
    }
  };

  const send = () => {
    clearTimeout(timer);
    turnAwayTheLate();
    let isDue = true;
    while (isDue && waiting.length > 0 && calls < limits.calls) {
      const batch = takeBatch(waiting, limits);
      waitingSize -= sizeOf(batch);
      void store(batch);
      isDue = isFull(waiting, waitingSize, limits);
    }
    if (waiting.length > 0) timer = setTimeout(send, limits.wait);
  };

  return (event) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= limits.waitingEvents || waitingSize + event.json.length > limits.waitingSize) {
        reject(new DatabaseUnavailableError({ reason: "Too many events wait for the database." }));
        return;
      }
      waiting.push({ event, since: performance.now(), resolve, reject });
      waitingSize += event.json.length;
      if (calls === 0 || isFull(waiting, waitingSize, limits)) send();
      else if (waiting.length === 1) timer = setTimeout(send, limits.wait);
    });
}

/** Takes the oldest that fit into one call; the first one always does. */
function takeBatch(waiting: Waiting[], limits: GatherLimits): Waiting[] {
  let count = 0;
  let size = 0;
  for (const { event } of waiting) {
    size += event.json.length;
    if (count === limits.events || (count > 0 && size > limits.size)) break;
    count++;
  }
  return waiting.splice(0, count);
}

function isFull(waiting: Waiting[], size: number, limits: GatherLimits): boolean {
  return waiting.length >= limits.events || size >= limits.size;
}

function sizeOf(batch: Waiting[]): number {
  return batch.reduce((sum, { event }) => sum + event.json.length, 0);
}

/** The outcomes that `billing.receive_events` answered with, one an event. */
function outcomesIn(answer: unknown, events: number): string[] {
  if (!Array.isArray(answer) || answer.length !== events) {
    throw new DatabaseMisconfiguredError({
      reason: "billing.receive_events did not answer with an outcome an event.",
    });
  }
  return answer.map((outcome) => outcomeIn(outcome, "billing.receive_events"));
}
