import type { TestDatabase } from "../database.ts";

/** What ties a row to a customer, by table. */
const OF_CUSTOMER: Record<string, string> = {
  customers: "t.id",
  subscriptions: "t.customer",
  subscription_items: "(select s.customer from billing.subscriptions as s where s.id = t.subscription)",
  invoices: "t.customer",
  payments: "t.customer",
  payment_methods: "case when t.detached_at is null then t.customer end",
};
/** Tables that every member reads. The others are for who manages the team. */
const FOR_MEMBERS = ["subscriptions", "subscription_items"];

/** The rows a signed-in user reads, as `table id`, in order. */
export async function readsOf(database: TestDatabase, user: string): Promise<string[]> {
  const parts = Object.keys(OF_CUSTOMER).map(
    (table) => `select '${table} ' || id as row from billing.${table}`,
  );
  const rows = await database.asUser(user, (sql) =>
    sql.unsafe<{ row: string }[]>(`${parts.join(" union all ")} order by 1`),
  );
  return rows.map(({ row }) => row);
}

/**
 * The rows that somebody is meant to read who belongs to the team with these customers and to no other. Counted by the
 * customers alone and as the tables' owner. A customer that is not known to be the team's yet is nobody's.
 */
export async function visibleTo(
  database: TestDatabase,
  customers: string[],
  manages: boolean,
): Promise<string[]> {
  const tables = Object.entries(OF_CUSTOMER).filter(([table]) => manages || FOR_MEMBERS.includes(table));
  const parts = tables.map(
    ([table, customer]) => `
      select '${table} ' || t.id as row from billing.${table} as t
      join billing.customers as c on c.id = ${customer}
      where c.id = any ($1) and c.owner_id is not null`,
  );
  const rows = await database.sql.unsafe<{ row: string }[]>(`${parts.join(" union all ")} order by 1`, [
    customers,
  ]);
  return rows.map(({ row }) => row);
}

interface Debt {
  subject: string;
  currency: string | null;
  amount: string | null;
  invoices: number | null;
  address: boolean | null;
}

/** What `my_billing_status` tells a user, beside what is overdue for the team's customers. */
export async function statusOf(
  database: TestDatabase,
  user: string,
  customers: string[],
  manages: boolean,
  now: Date,
): Promise<{ debts: number; breach?: string }> {
  const told = await database.asUser(
    user,
    (sql) => sql<Debt[]>`
      select b.subscription as subject, b.currency, b.amount_due::text as amount, b.invoice_count as invoices,
        case when b.invoice is null and b.invoice_number is null and b.hosted_invoice_url is null then null else true end as address
      from billing.my_billing_status(${now}) as b
      order by b.overdue_since, 1, 2, 3`,
  );
  const owed = await database.sql<Debt[]>`
    select min(v.subscription) as subject, v.currency, sum(v.amount_remaining)::text as amount, count(*)::int as invoices, true as address
    from billing_private.overdue_invoices as v
    join billing.customers as c on c.id = v.customer and c.owner_id is not null
    where v.customer = any (${customers}) and v.overdue_since <= ${now}
    group by v.subject_id, v.currency
    order by min(v.overdue_since), 1, 2, 3`;
  const text = (debts: readonly Debt[]) =>
    debts
      .map((debt) => JSON.stringify(debt))
      .sort()
      .join();
  const expected = owed.map((debt) =>
    manages ? debt : { ...debt, currency: null, amount: null, invoices: null, address: null },
  );
  if (text(told) === text(expected)) return { debts: owed.length };
  return {
    debts: owed.length,
    breach: `${user}, ${manages ? "who manages" : "in"} the team, is told ${text(told)} and not ${text(expected)}`,
  };
}
