import { setTimeout as delay } from "node:timers/promises";
import Stripe from "stripe";

/** One delivery and what came back. */
export interface Answer {
  event: string;
  /** Undefined: the connection ended without an answer, so the sender knows nothing. */
  status: number | undefined;
  /** The event's outcome as the function answers it, or the code of its error. */
  outcome: string | undefined;
  retryAfter: string | null;
}

/** What is posted: an event, or a body that is not a valid one. */
export type Delivered = { id: string; body: string };

export interface DeliveryOptions {
  /** At most this many deliveries wait for an answer at a time. */
  inFlight: number;
  /** Milliseconds within which every event must have been acknowledged. */
  within: number;
  /** Called with the number of 2xx answers after each one; what it starts is awaited before `deliver` resolves. */
  onAcknowledged?: (count: number) => Promise<void> | undefined;
}

const signer = new Stripe("sk_test_example");
/** Stripe waits minutes to days between its tries. Milliseconds lead to the same order. */
const firstBackoff = 25;
const longestBackoff = 400;

/** The header Stripe sends with a body, stamped with the present time unless told otherwise (seconds). */
export function signatureOf(payload: string, secret: string, timestamp?: number): string {
  return signer.webhooks.generateTestHeaderString({ payload, secret, timestamp });
}

/** An event as the bytes that are posted. */
export function asDelivered(event: { id: string }): Delivered {
  return { id: event.id, body: JSON.stringify(event) };
}

/** Delivers as Stripe does: in parallel, signed anew each time, and again until it is answered 2xx. */
export class StripeSender {
  readonly url: string;
  readonly secret: string;
  /** Every answer and missing answer, in the order they came. */
  readonly answers: Answer[] = [];

  constructor(url: string, secret: string) {
    this.url = url;
    this.secret = secret;
  }

  /** Delivers once. */
  async post({ id, body }: Delivered): Promise<Answer> {
    let answer: Answer = { event: id, status: undefined, outcome: undefined, retryAfter: null };
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "stripe-signature": signatureOf(body, this.secret),
        },
        body,
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      answer = {
        event: id,
        status: response.status,
        outcome: outcomeIn(text),
        retryAfter: response.headers.get("retry-after"),
      };
    } catch {
      // No answer, or a timeout. Neither tells what was done.
    }
    this.answers.push(answer);
    return answer;
  }

  /**
   * Delivers every one until it is answered 2xx, each on its own schedule.
   *
   * @throws Error naming what was not acknowledged in time
   */
  async deliver(deliveries: readonly Delivered[], options: DeliveryOptions): Promise<void> {
    const deadline = Date.now() + options.within;
    const queue = [...deliveries];
    const started: Promise<void>[] = [];
    let acknowledged = 0;

    const deliverOne = async (delivery: Delivered): Promise<boolean> => {
      for (
        let backoff = firstBackoff;
        Date.now() < deadline;
        backoff = Math.min(backoff * 2, longestBackoff)
      ) {
        const { status } = await this.post(delivery);
        if (status !== undefined && status >= 200 && status < 300) return true;
        await delay(backoff);
      }
      return false;
    };
    const late: string[] = [];
    const lane = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (!(await deliverOne(next))) {
          late.push(next.id);
          continue;
        }
        const begun = options.onAcknowledged?.(++acknowledged);
        if (begun) {
          started.push(begun);
          // Reported when all is delivered. Until then nothing awaits it.
          begun.catch(() => {});
        }
      }
    };
    await Promise.all(Array.from({ length: options.inFlight }, lane));
    await Promise.all(started);
    if (late.length > 0) {
      const seen = late.flatMap((id) => this.answers.filter(({ event }) => event === id).slice(-1));
      throw new Error(`not acknowledged within ${options.within} ms: ${JSON.stringify(seen.slice(0, 10))}`);
    }
  }

  /** Ids that were answered 2xx at least once. */
  get acknowledged(): Set<string> {
    return new Set(this.answers.filter(({ status }) => status === 200).map(({ event }) => event));
  }
}

function outcomeIn(text: string): string | undefined {
  try {
    const answer = JSON.parse(text) as { outcome?: string; error?: { code?: string }; code?: string };
    return answer.outcome ?? answer.error?.code ?? answer.code;
  } catch {
    return undefined;
  }
}
