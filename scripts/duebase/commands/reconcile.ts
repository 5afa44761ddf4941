import { hostname } from "node:os";
import type { Command } from "commander";
import type { Sql } from "postgres";
import {
  dueHistory,
  type RunOrder,
  runHistory,
} from "../../../supabase/functions/_duebase/history/runner.ts";
import type { RunState } from "../../../supabase/functions/_duebase/history/runs.ts";
import { billingOver } from "../connections/billing.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { type NamedStripe, stripeFromEnvironment } from "../history/stripe-key.ts";
import { runAsText } from "../history/text.ts";
import { options } from "../options.ts";
import { ExitCode, Refusal, Terminal } from "../terminal.ts";
import { patiently, withProgress } from "./backfill.ts";

/** What differed, as billing.drift has it. */
interface Difference {
  object: string;
  object_id: string;
  field: string;
  ours: unknown;
  stripes: unknown;
  why: string;
  mended_at: Date | null;
}

const TITLES: Record<RunOrder["kind"], string> = {
  backfill: "Reading the objects of the time that Stripe lists no events of",
  events: "Reading Stripe's events",
  comparison: "Comparing with Stripe",
};

/** Adds `duebase reconcile`. */
export function addReconcile(program: Command): void {
  program
    .command("reconcile")
    .description(
      "receive the events that no webhook brought, and compare what runs and what is owed with Stripe",
    )
    .addOption(options.dbUrl())
    .option("--events-only", "leave out the comparison")
    .addOption(options.json())
    .addHelpText(
      "after",
      "\nThe project does this by itself, every hour and every day. Differences are mended as they are found.\nThe key is read from DUEBASE_STRIPE_SECRET_KEY.\n\nExample:\n  npx duebase reconcile",
    )
    .action(async ({ dbUrl, eventsOnly, json }: { dbUrl?: string; eventsOnly?: boolean; json?: boolean }) => {
      const terminal = new Terminal({ json });
      await withDatabase(requireDatabaseUrl(dbUrl), { command: "reconcile" }, async (sql) => {
        await report(sql, await reconcile(sql, terminal, stripeFromEnvironment(), eventsOnly), terminal);
      });
    });
}

/**
 * Receives the events that no webhook brought, and compares, unless `eventsOnly`. Where events are missing that Stripe
 * no longer lists, the objects of that time are read first.
 *
 * @throws Refusal where Stripe or the key stands in the way, or somebody else is reading
 */
export async function reconcile(
  sql: Sql,
  terminal: Terminal,
  stripe: NamedStripe,
  eventsOnly = false,
): Promise<RunState[]> {
  const due = await dueHistory(billingOver(sql));
  // As duebase-reconcile does: the time that Stripe lists no events of is met by reading its objects.
  const runs =
    due.gap_from === null
      ? []
      : [await make(sql, terminal, stripe, { kind: "backfill", readsSince: due.gap_from })];
  runs.push(await make(sql, terminal, stripe, { kind: "events", eventsFrom: due.events_from }));
  if (!eventsOnly) runs.push(await make(sql, terminal, stripe, { kind: "comparison" }));
  return runs;
}

async function make(sql: Sql, terminal: Terminal, stripe: NamedStripe, order: RunOrder): Promise<RunState> {
  const title = TITLES[order.kind];
  const result = await withProgress(terminal, title, (onPage, onWait) =>
    patiently(onWait, () =>
      runHistory(
        {
          callBilling: billingOver(sql),
          callStripe: stripe.call,
          secretKey: stripe.secretKey,
          holder: `terminal ${process.pid} on ${hostname()}`,
          onPage,
          onWait,
        },
        order,
      ),
    ),
  );
  if (result.outcome !== "finished") {
    throw new Refusal(
      result.outcome === "busy"
        ? `Somebody is reading already: ${result.holder}, until ${result.lockedUntil} at least.`
        : "The reading was not finished.",
      "Wait a minute and run this again.",
    );
  }
  return result.run;
}

async function report(sql: Sql, runs: RunState[], terminal: Terminal): Promise<void> {
  const ids = runs.map(({ id }) => id);
  const missed = await sql<{ type: string; events: number }[]>`
    select type, count(*)::integer as events from billing.missed_webhooks where run_id = any (${ids}) group by 1 order by 2 desc, 1
  `;
  const drift = await sql<Difference[]>`
    select object, object_id, field, ours, stripes, why, mended_at from billing.drift where run_id = any (${ids}) order by id
  `;
  const total = missed.reduce((sum, { events }) => sum + events, 0);
  terminal.answer(
    { runs, missed, drift },
    [
      ...runs.map(runAsText),
      total === 0
        ? "No webhook was missed."
        : [
            `${total} webhooks were missed, and their events are in now:`,
            ...missed.map(({ type, events }) => `  ${type} ${events}`),
          ].join("\n"),
      drift.length === 0
        ? "Nothing differed."
        : [
            `${drift.length} differences:`,
            ...drift
              .slice(0, 20)
              .map(
                ({ object_id, field, ours, stripes, why, mended_at }) =>
                  `  ${object_id} ${field}: ${JSON.stringify(ours)} here, ${JSON.stringify(stripes)} at Stripe; ${why}${mended_at === null ? "; not mended" : ""}`,
              ),
            ...(drift.length > 20 ? ["  more: select * from billing.drift order by id desc"] : []),
          ].join("\n"),
    ].join("\n\n"),
  );
  if (runs.some(({ status }) => status !== "complete") || drift.some(({ mended_at }) => mended_at === null)) {
    process.exitCode = ExitCode.refused;
  }
}
