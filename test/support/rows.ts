import type { Sql } from "postgres";

/** The rows of a set of ids, by table: sorted, as JSON in UTC without null fields. */
export type Rows = Record<string, string[]>;

/** Tables that mirror Stripe's objects and facts about them, with their columns about arrival. */
const TABLES = {
  customers: [],
  products: [],
  prices: [],
  subscriptions: [],
  subscription_items: [],
  invoices: [],
  invoice_payments: [],
  payments: [],
  refunds: [],
  disputes: [],
  payment_methods: [],
  checkout_sessions: [],
  audit_events: ["id", "recorded_at"],
};
export type MirroredTable = keyof typeof TABLES;

/**
 * Reads the rows whose ids carry a name, and takes the name out, so that the rows of two names can be compared.
 * Null fields of documents are left out: absent and null mean the same.
 */
export async function rowsNamed(sql: Sql, name: string): Promise<Rows> {
  const read: Rows = {};
  for (const [table, arrival] of Object.entries(TABLES)) {
    const rows = await sql.begin(async (transaction) => {
      await transaction`set local timezone = 'UTC'`;
      return await transaction<{ row: string }[]>`
        select jsonb_strip_nulls(to_jsonb(t) - ${arrival}::text[])::text as row
        from ${transaction(`billing.${table}`)} as t
        where t::text like ${`%\\_${name}%`}
        ${table === "audit_events" ? transaction`and t.actor = 'stripe'` : transaction``}
        order by 1
      `;
    });
    read[table] = rows.map(({ row }) => row.replaceAll(`_${name}`, "_")).sort();
  }
  return read;
}
