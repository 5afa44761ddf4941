import { Agent, request } from "node:http";
import { type Cast, person } from "./cast.ts";

const REPEATS = 500;
const AT_ONCE = 20;
// As Stripe does, only sooner: what was answered 503 is delivered again.
const MOST_TRIES = 6;

/** How the function answered. */
export interface Answers {
  sent: number;
  /** How often one had to be sent again because the machine was too busy for it. */
  resent: number;
  /** How many by the HTTP status they were answered with in the end. */
  byStatus: Map<number, number>;
}

/** The last event once more, and again, five hundred times: as many deliveries as an unlucky day brings. */
export async function duplicateStorm(cast: Cast, eventId: string): Promise<Answers> {
  const { stripe, sql } = cast.world;
  const [row] = await sql<
    { payload: unknown }[]
  >`select payload from billing.stripe_events where id = ${eventId}`;
  if (!row) throw new Error(`event ${eventId} is not in the database`);
  const payload = JSON.stringify(row.payload);
  const secret = cast.world.stack.status.STRIPE_WEBHOOK_SECRET;
  return post(cast, REPEATS, payload, () => stripe.webhooks.generateTestHeaderString({ payload, secret }));
}

/** An event that says Bo's subscription is active again, signed by somebody who does not know the secret. */
export async function forgedWebhook(cast: Cast, eventId: string): Promise<Answers> {
  const bo = person(cast, "Bo");
  const payload = JSON.stringify({
    id: eventId,
    object: "event",
    type: "customer.subscription.updated",
    created: cast.now,
    livemode: false,
    data: {
      object: { id: bo.subscription, object: "subscription", customer: bo.customer, status: "active" },
    },
  });
  const secret = "whsec_a_guess";
  return post(cast, 1, payload, () =>
    cast.world.stripe.webhooks.generateTestHeaderString({ payload, secret }),
  );
}

async function post(cast: Cast, count: number, payload: string, sign: () => string): Promise<Answers> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const url = `${cast.world.stack.status.FUNCTIONS_URL}/duebase-stripe-webhook`;
  const byStatus = new Map<number, number>();
  let resent = 0;
  const deliver = async (): Promise<void> => {
    let status = await postOnce(agent, url, payload, sign());
    for (let tries = 1; status === 503 && tries < MOST_TRIES; tries++) {
      resent += 1;
      status = await postOnce(agent, url, payload, sign());
    }
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
  };
  try {
    await Promise.all(Array.from({ length: count }, deliver));
    return { sent: count, resent, byStatus };
  } finally {
    agent.destroy();
  }
}

function postOnce(agent: Agent, url: string, payload: string, signature: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    const sent = request(url, { agent, method: "POST", headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end(payload);
  });
}

/** `500 × 200`, for people. */
export function answersLine({ byStatus, resent }: Answers): string {
  const answered = [...byStatus].map(([status, count]) => `${count} × ${status}`).join(", ");
  return resent > 0 ? `${answered}, ${resent} sent again after a 503` : answered;
}
