import type { Sql } from "postgres";

/** A table in which a signed-in user reads their own rows. */
export interface OwnerTable {
  /** Without its schema, which is `billing`. */
  name: string;
  /** What its policy comes to for one owner, written out: SQL about the uuid `:owner`. */
  condition: string;
}

/** Users who have rows in every table: of a table with a million rows, each has ten. */
export const OWNERS = 100_000;

/** The id of a user of the rows that `fillOwnerTables` writes. */
export const ownerId = (number: number): string =>
  `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

const CUSTOMERS = "array(select c.id from billing.customers as c where c.owner_id = :owner)";

/** Every table with a policy for members or managers of an owner, as the catalog has them. */
export async function ownerTables(sql: Sql): Promise<OwnerTable[]> {
  const tables = await sql<{ name: string; has_owner: boolean; has_customer: boolean; detaches: boolean }[]>`
    select
      p.tablename as name,
      bool_or(c.column_name = 'owner_id') as has_owner,
      bool_or(c.column_name = 'customer') as has_customer,
      bool_or(c.column_name = 'detached_at') as detaches
    from pg_policies as p
    join information_schema.columns as c on c.table_schema = p.schemaname and c.table_name = p.tablename
    where p.schemaname = 'billing' and 'authenticated' = any (p.roles)
    group by p.tablename
    order by p.tablename
  `;
  return tables.map(({ name, has_owner, has_customer, detaches }) => {
    if (has_owner) return { name, condition: "owner_id = :owner" };
    if (has_customer)
      return {
        name,
        condition: `customer = any (${CUSTOMERS})${detaches ? " and detached_at is null" : ""}`,
      };
    const subscriptions = `select s.id from billing.subscriptions as s where s.customer = any (${CUSTOMERS})`;
    return { name, condition: `subscription = any (array(${subscriptions}))` };
  });
}

/** How many owners share rows of which one other owner has as many. */
export const SHARERS = 200;
/** One row in this many is the one owner's, and one is of the owners who share. */
const SHARE_OF_ROWS = 500;
/** The owner who has as many rows as the sharers together, and the number of the first of those. */
const ALONE = OWNERS;
const FIRST_SHARER = OWNERS + 1;
/** The same for customers: elsewhere, an owner has all rows by one customer. */
const ALONE_WITH_CUSTOMERS = 2_000_000;
const FIRST_SHARER_OF_CUSTOMERS = ALONE_WITH_CUSTOMERS + 1;

/**
 * Owners with as many rows of a table as others have: one alone, or as many as `SHARERS` say, each with the same part.
 * Their rows lie scattered in the table in the same way.
 */
export function ownersOfEqualRows(table: string): { alone: string; sharers: string[] } {
  const [alone, first] =
    table === "customers" ? [ALONE_WITH_CUSTOMERS, FIRST_SHARER_OF_CUSTOMERS] : [ALONE, FIRST_SHARER];
  return {
    alone: ownerId(alone),
    sharers: Array.from({ length: SHARERS }, (_, index) => ownerId(first + index)),
  };
}

/** One of the owners who have ten rows in a table of a million: the one of a round, of which any two differ. */
export function ordinaryOwner(round: number): string {
  const number = ((round + 1) * 7919) % OWNERS;
  // The rows of two in that many belong to those above.
  return ownerId(number % SHARE_OF_ROWS < 2 ? number + 2 : number);
}

const numbered = (number: string) => `('00000000-0000-4000-8000-' || lpad((${number})::text, 12, '0'))::uuid`;
const shared = (alone: number, first: number, ordinary: string) => `case n % ${SHARE_OF_ROWS}
  when 0 then ${alone} when 1 then ${first} + n / ${SHARE_OF_ROWS} % ${SHARERS} else ${ordinary} end`;
const OWNER_NUMBER = shared(ALONE, FIRST_SHARER, `n % ${OWNERS}`);

const OWNER_OF_CUSTOMER = numbered(
  `case when n <= ${FIRST_SHARER + SHARERS} then n else ${shared(ALONE_WITH_CUSTOMERS, FIRST_SHARER_OF_CUSTOMERS, "n")} end`,
);

/** Tables of which an owner has one row. */
export const ONE_ROW_AN_OWNER = ["entitlement_versions", "seats"];

/** What goes into a column of a kind that ties rows to each other, as SQL of the row's number `n`. */
const KEYS: Record<string, string> = {
  "customers.id": "'cus_' || n",
  // Most customers have no owner, or an owner with no other customer. The first have those by whom owners have rows.
  "customers.owner_id": OWNER_OF_CUSTOMER,
  "customers.user_id": OWNER_OF_CUSTOMER,
  "entitlement_versions.owner_id": numbered("n"),
  "seats.owner_id": numbered("n"),
  "subscriptions.id": "'sub_' || n",
  "subscription_items.subscription": "'sub_' || n",
};
const TIES: Record<string, string> = {
  owner_id: numbered(OWNER_NUMBER),
  // What owners were called while they were users alone.
  user_id: numbered(OWNER_NUMBER),
  customer: `'cus_' || (${OWNER_NUMBER})`,
};
/** Any value will do in the others, as long as rows differ where an index may ask for it. */
const VALUES: Record<string, string> = {
  text: "'x' || n",
  uuid: "('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid",
  bigint: "n",
  integer: "n % 1000",
  numeric: "n",
  boolean: "n % 10 = 0",
  jsonb: "'{}'::jsonb",
  "text[]": "array['x' || n % 1000]",
  "timestamp with time zone": "to_timestamp(1700000000 + n)",
};

interface Column {
  name: string;
  type: string;
}

/**
 * Writes that many rows into every table that owners read, and analyzes them. What may be null is, where no index looks
 * at it: narrow rows are quick to write, and quick to read from end to end, which tempts the planner most.
 *
 * @param admin a superuser: constraints are dropped and nothing is projected, so the database is of no other use then
 */
export async function fillOwnerTables(admin: Sql, rows: number): Promise<void> {
  // What is published is logged.
  await admin`drop publication if exists supabase_realtime`;
  for (const { name } of await ownerTables(admin)) {
    const table = `billing.${name}`;
    const columns = await admin<Column[]>`
      select attname as name, format_type(atttypid, null) as type from pg_attribute as a
      where attrelid = ${table}::regclass and attnum > 0 and not attisdropped and attidentity = '' and attgenerated = ''
        and (
          attnotnull and not atthasdef
          or exists (select from pg_index as i where i.indrelid = a.attrelid and a.attnum = any (i.indkey))
        )
    `;
    const indexes = await admin<{ name: string; definition: string }[]>`
      select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
      from pg_index where indrelid = ${table}::regclass
    `;
    const constraints = await admin<{ on: string; name: string }[]>`
      select conrelid::regclass::text as on, conname as name from pg_constraint
      where contype in ('c', 'f', 'p', 'u') and ${table}::regclass in (conrelid, confrelid) order by contype
    `;
    for (const { on, name: constraint } of constraints)
      await admin`alter table ${admin(on)} drop constraint ${admin(constraint)}`;
    // Built afterwards, an index takes a fraction of the time.
    for (const index of indexes) await admin`drop index if exists ${admin(index.name)}`;
    await admin`alter table ${admin(table)} set unlogged`;
    await admin.unsafe(`
      begin;
      set local session_replication_role = replica;
      insert into ${table} (${columns.map((column) => column.name).join(", ")})
      select ${columns.map((column) => fillingOf(name, column)).join(", ")} from generate_series(0, ${rows - 1}) as n;
      commit;
    `);
    for (const index of indexes) await admin.unsafe(index.definition);
    await admin`analyze ${admin(table)}`;
  }
}

function fillingOf(table: string, { name, type }: Column): string {
  const value = KEYS[`${table}.${name}`] ?? TIES[name] ?? VALUES[type];
  if (!value) throw new Error(`no value of type ${type} for billing.${table}.${name}`);
  return value;
}
