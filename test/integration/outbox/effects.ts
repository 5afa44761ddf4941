import type { Sql } from "postgres";

/** A claimed effect, as claim_outbox returns it. */
export interface Claimed {
  id: string;
  kind: string;
  dedupe_key: string;
  attempts: number;
  claim_id: string;
  locked_until: Date;
  run_after: Date;
}

/** A time the tests count from; no clock of this machine is asked. */
export const noon = new Date("2026-11-01T12:00:00Z");

/** So many seconds after noon. */
export function noonPlus(seconds: number): Date {
  return new Date(noon.getTime() + seconds * 1000);
}

/** Enqueues `count` effects, due at noon plus their place in seconds: `key:0`, `key:1` and so on. */
export async function enqueue(sql: Sql, key: string, count: number, kind = "stripe"): Promise<void> {
  await sql`
    select billing_private.enqueue(${kind}, ${key} || ':' || n, '{}', ${noon}, ${noon} + make_interval(secs => n))
    from generate_series(0, ${count - 1}) as n
  `;
}

/** Claims as a worker does. */
export async function claim(
  sql: Sql,
  { limit = 50, now = noonPlus(3600), lease = 120, worker = "test" } = {},
): Promise<Claimed[]> {
  return sql<Claimed[]>`
    select * from billing.claim_outbox(${worker}, ${limit}, make_interval(secs => ${lease}), null, ${now})
  `;
}
