import { Agent, request } from "node:http";
import type { Cast } from "./story.ts";

const REPEATS = 500;
const AT_ONCE = 50;

/** How the function answered. */
export interface Answers {
  sent: number;
  /** How many by HTTP status. */
  byStatus: Map<number, number>;
}

/** The last event once more, and again, five hundred times: as many deliveries as an unlucky day brings. */
export async function duplicateStorm(cast: Cast, eventId: string): Promise<Answers> {
  const { stripe, sql } = cast.world;
  const [row] = await sql<
    { payload: unknown }[]
  >`select payload from billing.webhook_events where id = ${eventId}`;
  if (!row) throw new Error(`event ${eventId} is not in the database`);
  const payload = JSON.stringify(row.payload);
  const secret = cast.world.stack.status.STRIPE_WEBHOOK_SECRET;
  return post(cast, REPEATS, payload, () => stripe.webhooks.generateTestHeaderString({ payload, secret }));
}

/** An event that says Ada's subscription is active again, signed by somebody who does not know the secret. */
export async function forgedWebhook(cast: Cast, eventId: string): Promise<Answers> {
  const payload = JSON.stringify({
    id: eventId,
    object: "event",
    type: "customer.subscription.updated",
    created: cast.now,
    livemode: false,
    data: {
      object: { id: cast.subscription, object: "subscription", customer: cast.customer, status: "active" },
    },
  });
  const secret = "whsec_a_guess";
  return post(cast, 1, payload, () =>
    cast.world.stripe.webhooks.generateTestHeaderString({ payload, secret }),
  );
}

async function post(cast: Cast, count: number, payload: string, sign: () => string): Promise<Answers> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const url = `${cast.world.stack.status.FUNCTIONS_URL}/stripe-webhook`;
  try {
    const statuses = await Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise<number>((resolve, reject) => {
            const headers = { "content-type": "application/json", "stripe-signature": sign() };
            const sent = request(url, { agent, method: "POST", headers }, (response) => {
              response.resume();
              response.on("end", () => resolve(response.statusCode ?? 0));
            });
            sent.on("error", reject);
            sent.end(payload);
          }),
      ),
    );
    const byStatus = new Map<number, number>();
    for (const status of statuses) byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    return { sent: count, byStatus };
  } finally {
    agent.destroy();
  }
}

/** `500 × 200`, for people. */
export function answersLine({ byStatus }: Answers): string {
  return [...byStatus].map(([status, count]) => `${count} × ${status}`).join(", ");
}
