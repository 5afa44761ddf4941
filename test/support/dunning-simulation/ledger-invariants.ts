import type { Breach, Invariant } from "./evidence.ts";
import { type Case, type Evidence, mailOf } from "./evidence.ts";

/** Every mail that Resend accepted has a row as sent, and every row that is sent was accepted by Resend. */
export const resendAgrees: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  const kept = new Map(evidence.emails.map((email) => [email.tag, email]));
  for (const [tag, [mail]] of evidence.mails) {
    const email = kept.get(tag);
    if (email === undefined)
      breaches.push({ customer: "", what: `${mail?.tags.template} left, and no row of emails knows of it` });
    else if (email.status === "pending" || email.status === "failed")
      breaches.push({
        customer: email.customer_id,
        what: `${email.template} left, and is kept as ${email.status}: ${email.dedupe_key}`,
      });
  }
  for (const email of evidence.emails) {
    if (!["pending", "failed"].includes(email.status) && !evidence.mails.has(email.tag))
      breaches.push({
        customer: email.customer_id,
        what: `${email.template} is kept as ${email.status}, and never left: ${email.dedupe_key}`,
      });
  }
  for (const action of evidence.dunningActions.filter(({ kind }) => kind !== "end")) {
    const hasLeft = mailOf(action, evidence) !== undefined;
    const customer = evidence.cases.find(({ id }) => id === action.case_id)?.customer ?? "";
    if (
      hasLeft !== ["sent", "undeliverable"].includes(action.status) &&
      !(action.status === "undeliverable" && !hasLeft)
    )
      breaches.push({
        customer,
        what: `${action.kind} of case ${action.case_id} is ${action.status}, and its mail has ${hasLeft ? "left" : "not left"}`,
      });
  }
  return breaches;
};

/**
 * Whether Stripe had already paused a subscription when its case ended with a pause. An account can have Stripe pause
 * after a failed payment, and a paused subscription cannot be paused again.
 * https://docs.stripe.com/billing/revenue-recovery/smart-retries/pause-on-payment-failure
 */
function wasAlreadyPaused({ end_action, subscription, closed_at }: Case, { simulation }: Evidence): boolean {
  const at = (closed_at?.getTime() ?? 0) / 1000;
  const last = simulation.world.local.events
    .all()
    .findLast(
      ({ type, created, data }) =>
        type.startsWith("customer.subscription.") &&
        created <= at &&
        (data.object as { id?: string }).id === subscription,
    );
  return (
    end_action === "pause" && (last?.data.object as { status?: string } | undefined)?.status === "paused"
  );
}

/** Dunning ended at Stripe what its tables say it ended, each once. */
export const endsAgree: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  const { ends } = evidence.simulation;
  for (const end of ends) {
    const found = evidence.cases.find(({ id }) => id === end.caseId);
    const same = ends.filter(({ kind, object }) => kind === end.kind && object === end.object);
    if (found === undefined || found.end_action !== end.kind || found.customer !== end.customer)
      breaches.push({
        customer: end.customer,
        what: `${end.kind} of ${end.object} is not what case ${end.caseId} ends with`,
      });
    else if (found.status === "open")
      breaches.push({
        customer: end.customer,
        what: `${end.kind} of ${end.object}, and case ${found.id} is open`,
      });
    if (same.length > 1 && end.kind !== "pause")
      breaches.push({ customer: end.customer, what: `${end.kind} of ${end.object} ${same.length} times` });
  }
  for (const closed of evidence.cases.filter(
    ({ outcome, end_action }) => outcome === "ended" && end_action !== "leave",
  )) {
    if (!ends.some(({ caseId }) => caseId === closed.id) && !wasAlreadyPaused(closed, evidence))
      breaches.push({
        customer: closed.customer,
        what: `case ${closed.id} is said to have ended with ${closed.end_action}, and did not`,
      });
  }
  return breaches;
};

/** Subscriptions and invoices are shown as they are at Stripe, for customers whose events all arrived. */
export const stripeAgrees: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  for (const subscription of evidence.atStripe.subscriptions) {
    const customer = evidence.customerOf(String(subscription.customer));
    const shown = evidence.subscriptions.get(subscription.id);
    if (customer.lost === 0 && shown?.status !== subscription.status)
      breaches.push({
        customer: customer.id,
        what: `${subscription.id} is ${subscription.status}, and shown as ${shown?.status}`,
      });
  }
  for (const invoice of evidence.atStripe.invoices) {
    const customer = evidence.customerOf(String(invoice.customer));
    const shown = evidence.invoices.get(invoice.id ?? "");
    const [is, seems] = [
      `${invoice.status} ${invoice.amount_remaining}`,
      `${shown?.status} ${shown?.amount_remaining}`,
    ];
    if (customer.lost === 0 && is !== seems)
      breaches.push({ customer: customer.id, what: `${invoice.id} is ${is}, and shown as ${seems}` });
  }
  return breaches;
};
