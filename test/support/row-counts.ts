import type { Sql } from "postgres";

/** How many rows each table of ours holds, by its qualified name. */
export async function rowCounts(sql: Sql): Promise<Record<string, number>> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p')
    order by 1`;
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await sql.unsafe<{ rows: number }[]>(`select count(*)::integer as rows from ${name}`);
    counts[name] = row?.rows ?? -1;
  }
  return counts;
}
