import { type Check, mayBeWrong, right, wrong } from "../check.ts";
import { refusalOfStripe, withoutStripeKey } from "../stripe.ts";

interface StripeEvent {
  id: string;
  type: string;
  created: number;
  pending_webhooks: number;
}

/** Stripe's own first tries are over by then; seconds. */
const UNDER_WAY = 60;

/**
 * Whether what Stripe sends arrives. Nobody can read the secret that Stripe signs with; that its events are here proves
 * that the secrets agree.
 */
export const stripeDeliveries: Check = {
  name: "stripe_deliveries",
  title: "Stripe's events",
  async look(context) {
    const { sql, stripe } = context;
    if (stripe === undefined) return [withoutStripeKey("whether Stripe\u2019s events arrive")];
    const { stripe_account } = await context.settings();
    let events: StripeEvent[];
    try {
      events = (await stripe.get("/v1/events", { limit: "100" }, stripe_account)).object
        .data as StripeEvent[];
    } catch (error) {
      return [refusalOfStripe(error, "whether Stripe\u2019s events arrive", "Events")];
    }
    const [row] = await sql<{ since: number; here: string[]; types: string[] }[]>`
      select
        (select extract(epoch from min(r.installed_at))::float8 from billing.releases as r) as since,
        (select coalesce(array_agg(e.id), '{}') from billing.webhook_events as e where e.id = any (${events.map(({ id }) => id)})) as here,
        (select array_agg(distinct h.event_type) from billing.event_handlers as h where h.enabled) as types`;
    const { since = 0, here = [], types = [] } = row ?? {};
    const sent = events.filter(
      ({ type, created }) =>
        types.includes(type) && created > since && created < context.now() / 1000 - UNDER_WAY,
    );
    const arrived = events.filter(({ id }) => here.includes(id));
    const lost = sent.filter(({ id }) => !here.includes(id));
    const [newestLost] = lost;
    if (newestLost === undefined) {
      if (arrived.length > 0)
        return [right(`the newest events of Stripe are here (${arrived.length} looked at)`)];
      return [
        mayBeWrong(
          "no event has come yet, so nobody knows whether Stripe signs with the functions\u2019 secret",
          "let Stripe send one: change a customer\u2019s name in its dashboard, and run doctor again",
        ),
      ];
    }
    const isOver = arrived.every(({ created }) => created < newestLost.created);
    if (!isOver) {
      return [
        mayBeWrong(
          `${lost.length} of Stripe\u2019s last ${sent.length} events are not here, such as ${newestLost.id}; newer ones are`,
          "npx duebase reconcile fetches them",
        ),
      ];
    }
    return [
      wrong(
        `Stripe\u2019s last ${lost.length} events did not arrive, such as ${newestLost.id} (${newestLost.type})`,
        "the endpoint\u2019s page at https://dashboard.stripe.com/webhooks says why; answers of 400: DUEBASE_STRIPE_WEBHOOK_SECRET is not the endpoint\u2019s signing secret; once they arrive again, npx duebase reconcile fetches those that are missing",
      ),
    ];
  },
};
