import { type Check, type Finding, orRight, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { refusalOfStripe, withoutStripeKey } from "../stripe.ts";

const BACKFILL = "npx duebase backfill";

/** What of the past is not here: going live on half a history would mail and chase by half of it. */
export const history: Check = {
  name: "history",
  title: "history",
  async look(context) {
    const gaps = await context.sql<{ gap: string; amount: number | null; cure: string }[]>`
      select g.gap, g.amount::integer, g.cure from billing.history_gaps() as g`;
    const findings = [
      ...gaps.map(({ gap, amount, cure }) => wrong(amount === null ? gap : `${amount} ${gap}`, cure)),
      ...(await subscriptionsAtStripe(context)),
    ];
    return orRight(findings, "nothing of the past is known to be missing");
  },
};

/** The newest hundred that are not over; more than these a backfill compares. */
async function subscriptionsAtStripe(context: DoctorContext): Promise<Finding[]> {
  if (context.stripe === undefined) return [withoutStripeKey("which subscriptions Stripe has")];
  const { stripe_account } = await context.settings();
  let ids: string[];
  try {
    const { object } = await context.stripe.get("/v1/subscriptions", { limit: "100" }, stripe_account);
    ids = (object.data as { id: string }[]).map(({ id }) => id);
  } catch (error) {
    return [refusalOfStripe(error, "which subscriptions Stripe has", "Subscriptions")];
  }
  const missing = await context.sql<{ id: string }[]>`
    select n.id from unnest(${ids}::text[]) as n (id)
    where not exists (select from billing.subscriptions as s where s.id = n.id)`;
  const [first] = missing;
  if (first === undefined) return [];
  return [
    wrong(
      `${missing.length} of Stripe\u2019s newest subscriptions are not here, such as ${first.id}`,
      BACKFILL,
    ),
  ];
}
