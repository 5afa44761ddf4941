import type Stripe from "stripe";

/** A plan, as the operator of the example sells it: metadata says what it opens and how much of it. */
interface Plan {
  name: string;
  description: string;
  metadata: Record<string, string>;
  /** Minor units by interval; the same number in each currency. */
  amounts: { month: number; year: number };
  priceMetadata?: Record<string, string>;
}

const CURRENCIES = ["usd", "eur"];
const PLANS: Plan[] = [
  {
    name: "Solo",
    description: "For one person.",
    metadata: { features: "reports", limit_reports: "20", seats_limit: "1" },
    amounts: { month: 1200, year: 12_000 },
  },
  {
    name: "Studio",
    description: "For a team, by the seat.",
    metadata: { features: "reports,export", limit_reports: "50 per unit", seats_limit: "10" },
    amounts: { month: 2000, year: 20_000 },
    priceMetadata: { seats: "true" },
  },
];

/** Has the local Stripe sell the example's plans, and lets customers change between them in the portal. Safe to repeat. */
export async function sellPlans(stripe: Stripe): Promise<void> {
  const known = await stripe.products.list({ limit: 100 });
  if (known.data.some(({ metadata }) => metadata.example === "saas")) return;
  const products: { product: string; prices: string[] }[] = [];
  for (const { name, description, metadata, amounts, priceMetadata } of PLANS) {
    const product = await stripe.products.create({
      name,
      description,
      metadata: { ...metadata, example: "saas" },
    });
    const prices: string[] = [];
    for (const currency of CURRENCIES) {
      for (const interval of ["month", "year"] as const) {
        const price = await stripe.prices.create({
          product: product.id,
          currency,
          unit_amount: amounts[interval],
          recurring: { interval },
          metadata: priceMetadata,
        });
        prices.push(price.id);
      }
    }
    products.push({ product: product.id, prices });
  }
  // In a real account this is saved once in the dashboard: settings, billing, customer portal.
  const { data } = await stripe.billingPortal.configurations.list({ limit: 1 });
  const [configuration] = data;
  if (!configuration) throw new Error("the local Stripe has no configuration of its portal");
  await stripe.billingPortal.configurations.update(configuration.id, {
    features: {
      subscription_update: {
        enabled: true,
        default_allowed_updates: ["price"],
        proration_behavior: "always_invoice",
        products,
      },
    },
  });
}
