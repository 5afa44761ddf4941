import { billing } from "../../../../client/index.ts";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { dataOf } from "../use-loaded.ts";
import type { Subscription } from "./read-access.ts";

/** How many rows of a list are shown; Stripe's portal has them all. */
const SHOWN = 12;
/** What the application sells as credits. */
const KIND = "summaries";

/** What the billing page lists: invoices, usage and credits. */
export async function readBooks(team: Team, subscriptions: Subscription[]) {
  const db = billing(supabase);
  const [invoices, usage, credits, entries] = await Promise.all([
    team.canManage
      ? db
          .from("invoices")
          .select("id, number, status, total, currency, created, hosted_invoice_url, invoice_pdf")
          .in(
            "subscription",
            subscriptions.map(({ id }) => id),
          )
          .neq("status", "draft")
          .order("created", { ascending: false })
          .order("number", { ascending: false })
          .limit(SHOWN)
          .then(dataOf)
      : [],
    db
      .from("subscription_usage")
      .select("metric, used, usage_limit, period_end")
      .eq("owner_id", team.id)
      .eq("is_open", true)
      .order("metric")
      .then(dataOf),
    db.rpc("my_credit_balance", { kind: KIND, owner_id: team.id }).then(dataOf),
    team.canManage
      ? db
          .from("credit_entries")
          .select("id, credits, balance_after, reason, note, created_at")
          .eq("owner_id", team.id)
          .eq("kind", KIND)
          .order("id", { ascending: false })
          .limit(SHOWN)
          .then(dataOf)
      : [],
  ]);
  return { invoices, usage, balance: Number(credits), entries };
}

export type Books = Awaited<ReturnType<typeof readBooks>>;
