import { cronCall } from "./cron-call.ts";
import { openSql } from "./sql.ts";
import type { ToldObject } from "./stripe/adopt.ts";
import type { LocalStripe } from "./stripe/server.ts";

/** In this order: each kind before those that refer to it. */
const KINDS = [
  "product",
  "price",
  "customer",
  "payment_method",
  "subscription",
  "invoice",
  "payment_intent",
  "charge",
  "invoice_payment",
  "refund",
  "dispute",
];

/**
 * Makes the customers of supabase/seed.sql known to the local Stripe, as the seed's events told of them, so that they
 * can be dunned, charged and renewed. Does nothing for a project whose seed is another one.
 *
 * @returns how many objects there are
 */
export async function adoptSeed(databaseUrl: string, stripe: LocalStripe): Promise<number> {
  const sql = openSql(databaseUrl);
  try {
    const [there] = await sql`select to_regclass('billing.stripe_events') is not null as found`;
    if (there?.found !== true) return 0;
    const rows = await sql<{ object: ToldObject }[]>`
      select distinct on (t.object ->> 'object', t.object ->> 'id') t.object
      from (
        select e.payload #> '{data,object}' as object, e.created, e.id
        from billing.stripe_events as e
        where e.id like 'evt\\_Seed%'
      ) as t
      where t.object ->> 'object' in ${sql(KINDS)}
      order by t.object ->> 'object', t.object ->> 'id', t.created desc, t.id desc`;
    const told = rows.map(({ object }) => object);
    stripe.adopt(told.sort((a, b) => KINDS.indexOf(a.object) - KINDS.indexOf(b.object)));
    return rows.length;
  } finally {
    await sql.end();
  }
}

/** A day has begun for it: today's run of dunning, and what is due is delivered. */
export async function beginDay(functionsUrl: string): Promise<void> {
  for (const name of ["duebase-dunning", "duebase-deliver"]) {
    const response = await fetch(`${functionsUrl}/${name}`, cronCall(name, { wait: true }));
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${await response.text()}`);
    await response.body?.cancel();
  }
}
