import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../supabase/functions/_duebase/database.gen.ts";
import { billing } from "./schema.ts";

type Row = Database["billing"]["Functions"]["my_billing_status"]["Returns"][number];

/** What the generated type cannot tell: these are null for a member who does not manage the owner, and elsewhere. */
type CanBeNull =
  | "subscription"
  | "product_name"
  | "amount_due"
  | "currency"
  | "invoice"
  | "invoice_number"
  | "hosted_invoice_url"
  | "invoice_count"
  | "needs_confirmation"
  | "next_payment_attempt"
  | "end_action"
  | "ends_at"
  | "last_day_to_pay"
  | "seats"
  | "seats_paid";

/** Something that an owner of the signed-in user owes, or seats that could not be charged. */
export type BillingStatus = Omit<Row, CanBeNull> & { [Name in CanBeNull]: Row[Name] | null };

/**
 * What is overdue, the oldest first; of one owner where one is named.
 *
 * @throws the error of the Data API
 */
export async function readBillingStatus(
  supabase: SupabaseClient,
  ownerId?: string,
): Promise<BillingStatus[]> {
  const { data, error } = await billing(supabase).rpc("my_billing_status");
  if (error) throw error;
  const rows = data as BillingStatus[];
  return ownerId === undefined ? rows : rows.filter((it) => it.owner_id === ownerId);
}

/** How much is at stake: the three ways in which the mails speak of a debt. */
export type Severity = "notice" | "reminder" | "final";

const DAY_MS = 86_400_000;
/** The default policy reminds on day 3 and warns on day 7, three days before its end at noon of day 10. */
const REMINDER_AFTER_DAYS = 3;
const FINAL_WITHIN_DAYS = 4;

/** In which words to speak of it: the last ones in the days before something ends, and a reminder's from the third day on. */
export function severityOf(status: Pick<BillingStatus, "overdue_since" | "ends_at">, now: Date): Severity {
  if (status.ends_at !== null && Date.parse(status.ends_at) - now.getTime() < FINAL_WITHIN_DAYS * DAY_MS)
    return "final";
  const days = (now.getTime() - Date.parse(status.overdue_since)) / DAY_MS;
  return days >= REMINDER_AFTER_DAYS ? "reminder" : "notice";
}
