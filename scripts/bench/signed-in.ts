import type { Sql } from "postgres";

/**
 * Asks as the Data API does: a role and claims for the transaction, then the query. It is asked several times over
 * within the server, planned anew each time, so that neither the network nor this process counts.
 *
 * @param api a client logged in as `authenticator`
 * @param query without a semicolon
 * @returns the rows of one answer, and what all of them took
 */
export async function askAs(
  api: Sql,
  role: string,
  userId: string,
  query: string,
  times: number,
): Promise<{ rows: number; milliseconds: number }> {
  return await api.begin(async (sql) => {
    const claims = JSON.stringify({ role, sub: userId });
    await sql`select set_config('role', ${role}, true), set_config('request.jwt.claims', ${claims}, true)`;
    const [counted] = await sql.unsafe(`select count(*)::int as rows from (${query}) as q`);
    const started = performance.now();
    await sql.unsafe(
      `do $do$ begin for time in 1..${times} loop execute $query$${query}$query$; end loop; end $do$`,
    );
    return { rows: counted?.rows as number, milliseconds: performance.now() - started };
  });
}
