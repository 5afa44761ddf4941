import type { TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { price, product } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

export const NOW = 1_790_000_000;
export const MONTH = 30 * 86_400;
export const at = (seconds: number): Date => new Date(seconds * 1000);

/** A product with limits, as `product.created` or an update tells it. */
export const plan = (
  id: string,
  metadata: Record<string, string>,
  created = NOW - 60,
  before?: Record<string, string>,
): StripeEvent => {
  const it = (values: Record<string, string>) =>
    product({ id: `prod_Example${id}`, created: NOW - 60, metadata: values });
  return told(
    before ? "product.updated" : "product.created",
    created,
    it(metadata),
    before ? it(before) : undefined,
  );
};

export const priceOf = (id: string, metadata: Record<string, string> = {}, product = id) =>
  price({
    id: `price_Example${id}`,
    created: NOW - 60,
    product: `prod_Example${product}`,
    metadata,
  });

export const priced = (id: string, metadata: Record<string, string> = {}, product = id): StripeEvent =>
  told("price.created", NOW - 60, priceOf(id, metadata, product));

export interface Item {
  plan: string;
  quantity?: number;
  id?: string;
  start?: number;
  end?: number;
}

/** A subscription's event: created at `NOW`, in a period of a month unless its items say otherwise. */
export function subscribed(
  values: {
    at?: number;
    type?: "created" | "updated" | "deleted";
    id?: string;
    customer?: string;
    user?: string;
    status?: string;
    items?: Item[];
    leaves?: boolean;
  } = {},
): StripeEvent {
  const id = `sub_Example${values.id ?? "One"}`;
  const items = (values.items ?? [{ plan: "Pro" }]).map((item, index) =>
    subscriptionItem({
      id: `si_Example${values.id ?? "One"}${item.id ?? index}`,
      created: NOW,
      subscription: id,
      price: priceOf(item.plan),
      quantity: item.quantity ?? 1,
      current_period_start: item.start ?? NOW,
      current_period_end: item.end ?? NOW + MONTH,
    }),
  );
  return told(
    `customer.subscription.${values.type ?? ((values.at ?? NOW) > NOW ? "updated" : "created")}`,
    values.at ?? NOW,
    subscription({
      id,
      created: NOW,
      customer: `cus_Example${values.customer ?? "Ada"}`,
      items,
      status: values.status ?? "active",
      cancel_at_period_end: values.leaves ?? false,
      metadata: values.user ? { owner_id: values.user } : {},
    }),
  );
}

/** A customer's event that says whose it is. */
export const ownedBy = (user: string, created = NOW, id = "Ada"): StripeEvent =>
  told(
    created > NOW ? "customer.updated" : "customer.created",
    created,
    customer({ id: `cus_Example${id}`, created: NOW, metadata: { owner_id: user } }),
  );

export interface UsageRow {
  metric: string;
  used: number;
  usage_limit: number | null;
  is_open: boolean;
  starts: number;
  ends: number | null;
  owner_id: string | null;
}

/** The usage rows of a name's subscriptions, with periods in seconds after `NOW`, oldest first. */
export async function rowsOf(database: TestDatabase, name: string): Promise<UsageRow[]> {
  return await database.sql<UsageRow[]>`
    select metric, used::float8 as used, usage_limit::float8 as usage_limit, is_open, owner_id,
      extract(epoch from period_start)::float8 - ${NOW} as starts, extract(epoch from period_end)::float8 - ${NOW} as ends
    from billing.subscription_usage where subscription like ${`sub\\_${name}%`}
    order by subscription, metric, period_start, period_end
  `;
}

export interface Reading {
  metric: string;
  used: number;
  usage_limit: number | null;
  remaining: number | null;
  period_start: Date | null;
  period_end: Date | null;
}

/** Records usage as the application does, as service_role. */
export function recordUsage(
  database: TestDatabase,
  user: string,
  metric: string,
  quantity: number | null,
  key: string | null,
  now = at(NOW + 60),
): Promise<Reading> {
  return database.asService(async (sql) => {
    const [row] = await sql<Reading[]>`
      select metric, used::float8 as used, usage_limit::float8 as usage_limit, remaining::float8 as remaining, period_start, period_end
      from billing.record_usage(${user}, ${metric}, ${quantity}, ${key}, ${now})
    `;
    if (!row) throw new Error("record_usage returned nothing");
    return row;
  });
}

/** Reads usage as the application does, as service_role. */
export function readUsage(
  database: TestDatabase,
  user: string,
  metric: string,
  now = at(NOW + 60),
): Promise<Reading> {
  return database.asService(async (sql) => {
    const [row] = await sql<Reading[]>`
      select metric, used::float8 as used, usage_limit::float8 as usage_limit, remaining::float8 as remaining, period_start, period_end
      from billing.current_usage(${user}, ${metric}, ${now})
    `;
    if (!row) throw new Error("current_usage returned nothing");
    return row;
  });
}
