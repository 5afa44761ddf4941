import { stripeAt } from "./stripe-client.ts";

/**
 * Removes the webhook endpoints of earlier starts of this stack, which the local Stripe remembers. Their port may be
 * another stack's by now, and that stack would take these events for its own: all share one signing secret.
 *
 * @param current the webhook's address as it is now
 */
export async function removeFormerEndpoints(stripeUrl: string, current: string): Promise<void> {
  const stripe = stripeAt(stripeUrl);
  const { pathname } = new URL(current);
  for (const { id, url } of (await stripe.webhookEndpoints.list({ limit: 100 })).data) {
    const address = new URL(url);
    if (url !== current && address.hostname === "127.0.0.1" && address.pathname === pathname) {
      await stripe.webhookEndpoints.del(id);
    }
  }
}
