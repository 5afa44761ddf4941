import {
  BACKFILL_LISTS,
  cursorAfter,
  readListPage,
} from "../../../supabase/functions/_duebase/history/lists.ts";
import type { StripeObject, StripeReader } from "../../../supabase/functions/_duebase/history/reader.ts";
import { ageOf, type OldDebts } from "./moving-in.ts";

/** What a backfill would read, without anything written. */
export interface Survey {
  /** Objects in each list. */
  objects: Record<string, number>;
  /** Calls that it took, and that a backfill takes. */
  calls: number;
  /** Customers with a running subscription. */
  payers: number;
  /** Those of them whose owner nothing at Stripe names. */
  payersWithoutOwner: string[];
  openInvoices: Pick<OldDebts, "invoices" | "amounts" | "byAge">;
  /** Always 0: a backfill sends none. */
  mails: 0;
}

const RUNNING = new Set(["active", "trialing", "past_due", "unpaid", "paused"]);

/**
 * Reads every list of a backfill and counts.
 *
 * @param since seconds since the epoch; older objects are left out, as a backfill does
 * @param now seconds since the epoch: what ages are counted from
 * @param onPage told after each page
 */
export async function surveyStripe(
  reader: StripeReader,
  { since, now, onPage }: { since?: number; now: number; onPage?: (step: string, objects: number) => void },
): Promise<Survey> {
  const survey: Survey = {
    objects: {},
    calls: 0,
    payers: 0,
    payersWithoutOwner: [],
    openInvoices: {
      invoices: 0,
      amounts: {},
      byAge: { "up to 7 days": 0, "8 to 30 days": 0, "31 to 90 days": 0, "over 90 days": 0 },
    },
    mails: 0,
  };
  const named = new Set<string>();
  const payers = new Set<string>();
  for (const list of BACKFILL_LISTS) {
    let cursor: string | null = null;
    for (let hasMore = true; hasMore; ) {
      const page = await readListPage(reader, { ...list, expand: undefined }, cursor, since);
      survey.objects[list.step] = (survey.objects[list.step] ?? 0) + page.data.length;
      for (const object of page.data) {
        if (list.step === "customers" && namesOwner(object)) named.add(object.id);
        if (list.step === "subscriptions") notePayer(object, payers, named);
        if (list.step === "open_invoices") noteOpenInvoice(object, now, survey.openInvoices);
      }
      const last = page.data.at(-1);
      cursor = last === undefined ? cursor : cursorAfter(last);
      hasMore = page.hasMore && last !== undefined;
      onPage?.(list.step, page.data.length);
    }
  }
  survey.payers = payers.size;
  survey.payersWithoutOwner = [...payers].filter((customer) => !named.has(customer));
  survey.calls = reader.takeCalls();
  return survey;
}

function namesOwner(object: StripeObject): boolean {
  const metadata = (object.metadata ?? {}) as Record<string, string>;
  return Boolean(metadata.owner_id?.trim() || metadata.user_id?.trim());
}

function notePayer(subscription: StripeObject, payers: Set<string>, named: Set<string>): void {
  const customer = String(subscription.customer);
  if (namesOwner(subscription)) named.add(customer);
  if (RUNNING.has(String(subscription.status))) payers.add(customer);
}

function noteOpenInvoice(invoice: StripeObject, now: number, open: Survey["openInvoices"]): void {
  const { currency, amount_remaining, due_date, created } = invoice as Record<string, unknown>;
  const since = typeof due_date === "number" ? due_date : Number(created);
  open.invoices += 1;
  open.amounts[String(currency)] = (open.amounts[String(currency)] ?? 0) + Number(amount_remaining ?? 0);
  open.byAge[ageOf(Math.floor((now - since) / 86_400))] += 1;
}
