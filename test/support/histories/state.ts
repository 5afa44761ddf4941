import type { ISql, PendingQuery, Row, Sql } from "postgres";
import { retag } from "./delivery.ts";
import { NO_TAG } from "./history.ts";

/** Every compared table's rows as text, sorted, with ids as the history was made. */
export type State = Map<string, string[]>;

/** Tables that are about arrival and processing, not about billing, or that no event writes to. */
const NOT_STATE = [
  "outbox",
  "webhook_duplicates",
  "failed_webhooks",
  "settings",
  "event_handlers",
  "emails",
  "dunning_cases",
  "dunning_case_invoices",
  "dunning_actions",
  "dunning_charges",
  "dunning_resumptions",
  // What the minute's tick notes, if one comes while a history is delivered.
  "alarms",
  "job_problems",
  "outbound_calls",
  "tick_parts",
];
/** The internal tables that decide what later events do. */
const PRIVATE_STATE = [
  "customer_owner_hints",
  "payment_sources",
  "object_versions",
  "catalogue_features",
  "entitlement_summaries",
  "given_cards",
];
/** Read, but compared with the truth only: what a read of Stripe tells of a card depends on what was known before. */
const NOT_COMPARED = ["given_cards"];
/** Columns about the arrival of a row: when, as which number, after what; or when it last changed. */
const ARRIVAL = ["received_at", "recorded_at", "id", "is_tied", "updated_at", "version"];
/** The actor of audit events that come from events of Stripe. The others record what the database did. */
const FACTS_OF = "stripe";

/** Only open dunning cases are compared: which ones were opened and closed before depends on the order of arrival. */
const OPEN_CASES = "open_dunning_cases";

/** Only planned resumptions that are still wanted are compared: the others are dropped when they are due. */
const OPEN_RESUMPTIONS = "open_resumptions";

/** A ledger is compared by its sums: the single entries depend on the order of arrival. */
const LEDGER = "credit_entries";

interface Table {
  name: string;
  schema: string;
  columns: string[];
}

const openCases: Table = { name: OPEN_CASES, schema: "billing", columns: [] };
const openResumptions: Table = { name: OPEN_RESUMPTIONS, schema: "billing", columns: [] };

/** The tables whose content must not depend on the order of arrival: all but those named above. */
export async function stateTables(sql: Sql): Promise<Table[]> {
  return await sql<Table[]>`
    select c.table_name as name, c.table_schema as schema,
      array_agg(c.column_name::text order by c.ordinal_position) filter (where
        not (c.column_name = any (${ARRIVAL}) and c.data_type <> 'text') and c.column_name <> 'payload'
      ) as columns
    from information_schema.columns as c
    join information_schema.tables as t using (table_schema, table_name)
    where t.table_type = 'BASE TABLE'
      and (
        c.table_schema = 'billing' and c.table_name <> all (${NOT_STATE})
        or c.table_schema = 'billing_private' and c.table_name = any (${PRIVATE_STATE})
      )
    group by c.table_schema, c.table_name
    order by c.table_schema, c.table_name
  `;
}

/** Reads the state that deliveries led to, by tag: of the tags given, or of all. */
export async function readStates(sql: Sql, tags?: string[]): Promise<Map<string, State>> {
  const states = new Map<string, State>();
  for (const { schema, name, columns } of [...(await stateTables(sql)), openCases, openResumptions]) {
    const rows = await sql.begin(async (transaction) => {
      await transaction`set local timezone = 'UTC'`;
      return await transaction<{ tag: string | null; content: string }[]>`
        select substring(t::text from '_([0-9a-f]{8})x') as tag, to_jsonb(t)::text as content
        from (${contentOf(transaction, { schema, name, columns })}) as t
        where ${tags ? transaction`substring(t::text from '_([0-9a-f]{8})x') = any (${tags})` : transaction`true`}
        ${name === "audit_events" ? transaction`and t.actor = ${FACTS_OF}` : transaction``}
      `;
    });
    for (const { tag, content } of rows) {
      if (tag === null) continue; // a row of a migration, not of a delivery
      const state: State = states.get(tag) ?? new Map();
      states.set(tag, state);
      const kept = state.get(name) ?? [];
      state.set(name, kept);
      kept.push(retag(content, tag, NO_TAG));
    }
  }
  for (const state of states.values()) for (const rows of state.values()) rows.sort();
  return states;
}

/** The query whose rows are compared. */
function contentOf(sql: ISql, { schema, name, columns }: Table): PendingQuery<Row[]> {
  switch (name) {
    case LEDGER:
      return sql`
        select owner_id, kind, purchase, sum(credits) as credits from billing.credit_entries
        group by owner_id, kind, purchase having sum(credits) <> 0`;
    case OPEN_CASES:
      return sql`
        select c.subject_id, c.customer, c.subscription, c.currency, c.policy_id, c.anchor_at,
          array_agg(v.invoice order by v.invoice) filter (where v.invoice is not null) as invoices, sum(v.amount_remaining) as amount
        from billing.dunning_cases as c
        left join billing.dunning_case_invoices as k on k.case_id = c.id
        left join billing_private.overdue_invoices as v on v.invoice = k.invoice
        where c.status = 'open' group by c.id`;
    case OPEN_RESUMPTIONS:
      return sql`
        select r.customer, r.subscription from billing.dunning_resumptions as r
        where r.status = 'planned'
          and billing_private.is_paused_for_nonpayment(r.subscription) and not billing_private.has_overdue_debt(r.subscription, now())`;
    case "webhook_events":
    case "audit_events": {
      // An event that names only an account is stored with the customer known at that time, if any.
      const others = columns.filter((column) => column !== "customer_id");
      return sql`
        select ${sql(others)}, coalesce(a.customer, e.customer_id) as customer_id
        from ${sql(`${schema}.${name}`)} as e
        left join billing_private.customer_accounts as a on a.customer_account = e.customer_id`;
    }
    default:
      return sql`select ${sql(columns)} from ${sql(`${schema}.${name}`)}`;
  }
}

/** Rows that are in one state and not in the other, a line each; nothing where they are equal. */
export function difference(expected: State | undefined, actual: State | undefined): string[] {
  const lines: string[] = [];
  for (const table of new Set([...(expected?.keys() ?? []), ...(actual?.keys() ?? [])])) {
    if (NOT_COMPARED.includes(table)) continue;
    const wanted = expected?.get(table) ?? [];
    const found = actual?.get(table) ?? [];
    const [wantedSet, foundSet] = [new Set(wanted), new Set(found)];
    lines.push(...wanted.filter((row) => !foundSet.has(row)).map((row) => `- ${table} ${row}`));
    lines.push(...found.filter((row) => !wantedSet.has(row)).map((row) => `+ ${table} ${row}`));
    if (wanted.length !== found.length) lines.push(`${table}: ${wanted.length} rows became ${found.length}`);
  }
  return lines;
}
