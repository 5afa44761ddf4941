import type { TestDatabase } from "../../support/database.ts";

/** A user with a customer, and a row of theirs in every table that an owner may read. Their ids end in `_<name>`. */
export interface Subscriber {
  userId: string;
  email: string;
  name: string;
}

/** Signs a user up and lets Stripe tell of a subscription that this user pays for. */
export async function subscribe(database: TestDatabase, name: string, userId?: string): Promise<Subscriber> {
  const email = `${name}@example.com`;
  const id = userId ?? (await database.signUp({ email }));
  const customer = `cus_${name}`;
  const period = { current_period_start: 1_790_000_000, current_period_end: 1_792_592_000 };
  const objects: [type: string, object: object][] = [
    ["product.created", { id: "prod_1", object: "product", metadata: { limit_api_calls: "100" } }],
    ["customer.created", { id: customer, object: "customer", email, metadata: { owner_id: id } }],
    [
      "customer.subscription.created",
      {
        id: `sub_${name}`,
        object: "subscription",
        customer,
        status: "active",
        items: {
          data: [{ id: `si_${name}`, price: { id: "price_1", product: "prod_1" }, quantity: 1, ...period }],
        },
      },
    ],
    [
      "invoice.paid",
      {
        id: `in_${name}`,
        object: "invoice",
        customer,
        status: "paid",
        currency: "eur",
        total: 900,
        amount_paid: 900,
      },
    ],
    [
      "payment_intent.succeeded",
      {
        id: `pi_${name}`,
        object: "payment_intent",
        customer,
        amount: 900,
        amount_received: 900,
        currency: "eur",
        status: "succeeded",
        metadata: { credit_kind: "images", credits: "10" },
      },
    ],
    [
      "payment_method.attached",
      { id: `pm_${name}`, object: "payment_method", customer, type: "card", card: { last4: "4242" } },
    ],
    [
      "entitlements.active_entitlement_summary.updated",
      {
        object: "entitlements.active_entitlement_summary",
        customer,
        entitlements: { data: [{ id: `ent_${name}`, lookup_key: `feature_${name}` }], has_more: false },
      },
    ],
  ];
  for (const [type, object] of objects) {
    const outcome = await database.receive({
      id: `evt_${type}_${name}`,
      object: "event",
      type,
      created: 1_790_000_000,
      livemode: false,
      data: { object },
    });
    if (outcome !== "processed") throw new Error(`${type} of ${name}: ${outcome}`);
  }
  await database.sql`
    insert into billing.seats (owner_id, quantity, counted_at, count_id, status, status_since, subscription, item, stripe_quantity)
    values (${id}, 1, now(), 0, 'same', now(), ${`sub_${name}`}, ${`si_${name}`}, 1)`;
  return { userId: id, email, name };
}
