import type { Invoice, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import type { Account } from "./account.ts";
import { isOverdueAt } from "./dunning-truth.ts";
import type { State } from "./state.ts";

const NONPAYMENT = new Set(["first_payment_failure", "final_payment_failure"]);

/**
 * Resumptions that are planned and should not be, or the other way round, a line each. A subscription must be resumed
 * where Stripe paused it for non-payment (`status_details`), one of its invoices was paid since, and nothing is overdue.
 * A payment alone resumes nothing unless the account is set to do so:
 * https://docs.stripe.com/billing/revenue-recovery/smart-retries/pause-on-payment-failure
 *
 * @param ranAt when the history was delivered (Unix seconds): what falls due about then or later says nothing
 */
export function resumptionUntruths(
  account: Account,
  state: State | undefined,
  hasAsked: (ids: string[]) => boolean,
  ranAt: number,
): string[] {
  const shown = new Set(
    (state?.get("open_resumptions") ?? []).map(
      (text) => (JSON.parse(text) as { subscription: string }).subscription,
    ),
  );
  const invoices = [...account.objects.values()].filter(
    ({ object }) => object === "invoice",
  ) as unknown as Invoice[];
  const lines: string[] = [];
  for (const [id, object] of account.objects) {
    if (object.object !== "subscription") continue;
    const isShown = shown.delete(id);
    const own = invoices.filter(({ parent }) => parent?.subscription_details?.subscription === id);
    const named = [id, String(object.customer), ...own.map((invoice) => String(invoice.id))];
    const isOwed = isResumptionOwed(account, object as unknown as Subscription, own, ranAt);
    // Versions before 2026-09-30.endive tell neither the cause nor the time.
    if (isOwed === undefined || hasAsked(named) || account.toldInOldShape.has(id)) continue;
    if (isShown !== isOwed) lines.push(`resumption of ${id} should ${isShown ? "not " : ""}be planned`);
  }
  return [...lines, ...[...shown].map((id) => `resumption of ${id} should not be planned`)];
}

/** Undefined where it depends on when the history was delivered. */
function isResumptionOwed(
  account: Account,
  { status, status_details: details }: Subscription,
  invoices: Invoice[],
  ranAt: number,
): boolean | undefined {
  const paused = details?.paused;
  if (status !== "paused" || !paused || !NONPAYMENT.has(paused.subscription?.type ?? "")) return false;
  const wasPaid = invoices.some(
    ({ status: is, status_transitions: at }) => is === "paid" && (at.paid_at ?? 0) >= paused.transitioned_at,
  );
  const owed = invoices.map((invoice) => isOverdueAt(account, invoice, ranAt));
  return owed.includes(undefined) ? undefined : wasPaid && !owed.includes(true);
}
