import {
  type RunnerParts,
  type RunOrder,
  type RunResult,
  runHistory,
} from "../../../supabase/functions/_duebase/history/runner.ts";
import type { Clock } from "../../../supabase/functions/_duebase/history/token-bucket.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import type { TestDatabase } from "../database.ts";
import { callAsService } from "../delivering.ts";
import { MIRRORED } from "../histories/truth-check.ts";
import type { StripeAccount } from "./stripe-account.ts";

/** A clock that waits for nobody: how long somebody would have waited is in `waited`, milliseconds. */
export function impatientClock(): Clock & { waited: number } {
  const clock = {
    waited: 0,
    now: () => performance.now() + clock.waited,
    sleep: async (ms: number) => {
      clock.waited += ms;
    },
  };
  return clock;
}

/** The key of an account in tests. */
export const TEST_KEY = "sk_test_example_history_0000";

/** One piece of a history run in this process: its own code, against the test's database as service_role. */
export async function readHistory(
  database: TestDatabase,
  account: StripeAccount,
  order: RunOrder = { kind: "backfill" },
  parts: Partial<RunnerParts> = {},
): Promise<RunResult> {
  return await runHistory(
    {
      callBilling: callAsService(database),
      callStripe: connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url }),
      secretKey: TEST_KEY,
      holder: "test",
      clock: impatientClock(),
      now: account.now().toISOString(),
      ...parts,
    },
    order,
  );
}

/** Delivers every event of an account, in the order they happened, to a database that had listened from the first day. */
export async function deliverAll(
  database: TestDatabase,
  account: StripeAccount,
  onProgress?: (events: number) => void,
): Promise<void> {
  const call = callAsService(database);
  const events = account.local.events.all();
  for (let at = 0; at < events.length; at += 50) {
    const some = events.slice(at, at + 50);
    const now = new Date((some.at(-1)?.created ?? 0) * 1000).toISOString();
    onProgress?.(at);
    const answers = await call("receive_events", JSON.stringify({ events: some, p_now: now }));
    for (const [index, answer] of answers.entries()) {
      if (answer === "retry_single") {
        await call("receive_event", JSON.stringify({ event: some[index], p_now: now }));
      }
    }
  }
}

/** What only events tell, by table. */
const ONLY_EVENTS_TELL: Record<string, string[]> = {
  checkout_sessions: ["completed_at", "expired_at"],
  disputes: ["funds_withdrawn_at", "funds_reinstated_at", "closed_at"],
  entitlements: ["id", "version", "updated_at"],
};

/** What events leave out, and a read brings. */
const ONLY_READS_TELL: Record<string, string[]> = { prices: ["currency_options", "tiers"] };

/** Of these tables, the rows that both a list and events tell of. */
const SHOWN_ROWS: Record<string, string> = {
  invoice_payments: "t.status <> 'open'",
  payment_methods: `t.id in (
    select c.default_payment_method from billing.customers as c
    union select s.default_payment_method from billing.subscriptions as s
  )`,
};

/**
 * Every row of what is mirrored, by table, as text. Payment methods are those that are a default: no list has the others. Which
 * payment an open invoice waits for is left out: a list tells, and no event does before it is paid.
 */
export async function mirroredRows(database: TestDatabase): Promise<Record<string, string[]>> {
  const rows: Record<string, string[]> = {};
  for (const table of [...MIRRORED, "entitlements"]) {
    const found = await database.sql<{ row: string }[]>`
      select jsonb_strip_nulls(
        to_jsonb(t) - ${[...(ONLY_EVENTS_TELL[table] ?? []), ...(ONLY_READS_TELL[table] ?? [])]}::text[] - ${
          table === "payments"
            ? database.sql`case when exists (
                select from billing.invoices as i where i.id = t.invoice_id and i.status <> 'paid'
              ) or t.outcome <> 'paid' then array['invoice_id', 'is_one_time'] else '{}'::text[] end`
            : database.sql`'{}'::text[]`
        }
      )::text as row
      from ${database.sql(`billing.${table}`)} as t
      ${SHOWN_ROWS[table] === undefined ? database.sql`` : database.sql.unsafe(`where ${SHOWN_ROWS[table]}`)}
      order by 1
    `;
    rows[table] = found.map(({ row }) => row);
  }
  return rows;
}

/** How many differing rows are named. */
const NAMED = 20;

/** Rows that only one of two databases has, as mirroredRows gives them: a line each, the first ones only. */
export function differingRows(there: Record<string, string[]>, here: Record<string, string[]>): string[] {
  const lines: string[] = [];
  for (const table of new Set([...Object.keys(there), ...Object.keys(here)])) {
    const [listened, moved] = [new Set(there[table]), new Set(here[table])];
    for (const row of listened) if (!moved.has(row)) lines.push(`${table} lacks ${row}`);
    for (const row of moved) if (!listened.has(row)) lines.push(`${table} has besides ${row}`);
    if ((there[table]?.length ?? 0) !== (here[table]?.length ?? 0)) {
      lines.push(`${table} has ${here[table]?.length ?? 0} rows in place of ${there[table]?.length ?? 0}`);
    }
  }
  return lines.sort().slice(0, NAMED);
}
