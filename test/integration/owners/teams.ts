import { randomUUID } from "node:crypto";
import type { JSONValue } from "postgres";
import type { TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { price, product } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

export const NOW = 1_790_000_000;
/** When the subscriptions of `subscribed` renew. */
export const PERIOD_END = NOW + 2_592_000;

/** A row of `billing.link_customers`. */
export interface CustomerLink {
  link: number;
  customer: string | null;
  owner_id: string | null;
  outcome: string;
  reason: string | null;
}

/** Has the application say who owns what: teams, by a table of members. */
export async function letTeamsPay(database: TestDatabase): Promise<void> {
  await database.sql.unsafe(`
    create schema app;
    create table app.members (team_id uuid, user_id uuid, can_manage boolean not null);
    create function app.teams_of(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language sql stable set search_path = '' as $$
      select m.team_id, m.can_manage from app.members as m where m.user_id = teams_of.user_id
    $$;
    update billing.settings set owners_function = 'app.teams_of(uuid)' where id;
  `);
}

/** Tells whose customers are, as an operator does. */
export async function link(database: TestDatabase, links: unknown): Promise<CustomerLink[]> {
  return await database.asService(
    (sql) => sql<CustomerLink[]>`select * from billing.link_customers(${sql.json(links as JSONValue)})`,
  );
}

/** The owner of a customer; null for nobody, undefined for a customer without a row. */
export async function ownerOf(database: TestDatabase, id: string): Promise<string | null | undefined> {
  const [row] = await database.sql<
    { owner_id: string | null }[]
  >`select owner_id from billing.customers where id = ${id}`;
  return row?.owner_id;
}

const plan = product({ id: "prod_ExampleTeams", created: NOW - 1000, name: "Teams" });
const monthly = price({
  id: "price_ExampleTeams",
  created: NOW - 1000,
  product: plan.id,
  unit_amount: 4900,
});

/** Events of a plan with the feature `export` and a limit of 100 `api_calls`. */
export const catalogue = (): StripeEvent[] => [
  told("product.created", NOW - 1000, { ...plan, metadata: { features: "export", limit_api_calls: "100" } }),
  told("price.created", NOW - 1000, monthly),
];

/** A customer with a running subscription to that plan; `owner` is named by the customer's metadata. */
export function subscribed(name: string, owner?: string, values: object = {}): StripeEvent[] {
  const item = subscriptionItem({
    id: `si_${name}`,
    created: NOW,
    subscription: `sub_${name}`,
    price: monthly,
    current_period_start: NOW,
    current_period_end: PERIOD_END,
  });
  return [
    told(
      "customer.created",
      NOW,
      customer({ id: `cus_${name}`, created: NOW, metadata: owner ? { owner_id: owner } : {} }),
    ),
    told("customer.subscription.created", NOW, {
      ...subscription({ id: `sub_${name}`, created: NOW, customer: `cus_${name}`, items: [item] }),
      ...values,
    }),
  ];
}

/** What an owner has, in one row. */
export async function havings(
  database: TestDatabase,
  owner: string,
): Promise<{ features: string[]; usage: number; credits: number; customers: string[] }> {
  const [row] = await database.sql<
    { features: string[]; usage: number; credits: number; customers: string[] }[]
  >`
    select
      array(select e.feature from billing.entitlements as e where e.owner_id = ${owner} order by 1) as features,
      (select coalesce(sum(u.used), 0)::int from billing.subscription_usage as u where u.owner_id = ${owner}) as usage,
      (select coalesce(sum(b.credits), 0)::int from billing_private.credit_balances as b where b.owner_id = ${owner}) as credits,
      array(select c.id from billing.customers as c where c.owner_id = ${owner} order by 1) as customers
  `;
  if (!row) throw new Error("no row");
  return row;
}

/** Alerts about subscriptions of deleted owners, for one owner. */
export const alertsAbout = async (database: TestDatabase, owner: string) =>
  await database.sql<{ subscription: string; customer: string; status: string; reason: string }[]>`
    select payload ->> 'subscription' as subscription, payload ->> 'customer' as customer, payload ->> 'status' as status,
      payload ->> 'reason' as reason
    from billing.outbox
    where kind = 'alert' and payload ->> 'cause' = 'owner_deleted_with_subscription' and payload ->> 'owner_id' = ${owner}
    order by 1
  `;

export const newTeam = (): string => randomUUID();
