import { DAY, HOUR } from "../dunning-world.ts";
import type { Breach, Invariant } from "./evidence.ts";

/** https://docs.stripe.com/billing/subscriptions/pending-updates: until it is paid, nothing has changed. */
export const upgradesAreNoDebt: Invariant = (evidence) => {
  const isUpgrade = (customer: string, invoice: string) =>
    evidence.customerOf(customer).upgrades.has(invoice);
  const ended = evidence.simulation.ends
    .filter(({ customer, unpaid }) => unpaid.length > 0 && unpaid.every((id) => isUpgrade(customer, id)))
    .map(({ customer, kind, object }) => ({
      customer,
      what: `${kind} of ${object}, which waits for nothing but an upgrade`,
    }));
  const chased = evidence.dunningActions.flatMap(({ case_id, kind, invoices, status }) => {
    const customer = evidence.cases.find(({ id }) => id === case_id)?.customer ?? "";
    const isMail = kind !== "end" && status === "sent";
    return isMail && invoices.every((id) => isUpgrade(customer, id))
      ? [{ customer, what: `${kind} of case ${case_id} is about nothing but an upgrade` }]
      : [];
  });
  return [...ended, ...chased];
};

/**
 * A card that works, given at least a day before the end, would have paid. Checked without faults only, because then the
 * charge is always made.
 */
export const newCardsAreCharged: Invariant = (evidence) => {
  if (evidence.simulation.settings.faults.size > 0) return [];
  return evidence.simulation.ends.flatMap((end) => {
    const customer = evidence.customerOf(end.customer);
    const found = evidence.cases.find(({ id }) => id === end.caseId);
    const last = customer.given.findLast(
      ({ at, subscription }) => at < end.at && (subscription ?? found?.subscription) === found?.subscription,
    );
    const isInTime = last !== undefined && last.at.getTime() < end.at.getTime() - DAY;
    const works = last?.works && (last.brokenAt === null || last.brokenAt > end.at);
    const isAbout = found !== undefined && last !== undefined && found.opened_at < last.at;
    return isInTime && works && isAbout && customer.plan.pays !== null
      ? [
          {
            customer: end.customer,
            what: `${end.kind} of ${end.object} at ${end.at.toISOString()}, and ${last.method}, given ${last.at.toISOString()}, works`,
          },
        ]
      : [];
  });
};

const NONPAYMENT = new Set(["first_payment_failure", "final_payment_failure"]);

/** A subscription that was paused for a debt runs again two days after the payment. What a person paused stays paused. */
export const paidIsResumed: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  const now = evidence.simulation.world.now.getTime();
  for (const subscription of evidence.atStripe.subscriptions) {
    const customer = evidence.customerOf(String(subscription.customer));
    const details = subscription.status_details?.paused;
    const cause = details?.subscription?.type ?? "";
    const ended = evidence.simulation.ends.findLast(
      ({ kind, object }) => kind === "pause" && object === subscription.id,
    );
    const isPaused = subscription.status === "paused" || subscription.pause_collection !== null;
    const isOurs =
      ended !== undefined && customer.log.every((line) => !isPauseOf(line, subscription.id, ended.at));
    const isForDebt = isOurs || (subscription.status === "paused" && NONPAYMENT.has(cause));
    if (!isPaused || !isForDebt || customer.isDeleted || customer.lost > 0) continue;
    const since = isOurs ? ended.at.getTime() : (details?.transitioned_at ?? 0) * 1000;
    const invoices = evidence.atStripe.invoices.filter(
      ({ parent }) => parent?.subscription_details?.subscription === subscription.id,
    );
    const debts = invoices.filter(({ created }) => created * 1000 <= since);
    const paid = debts
      .map(({ status_transitions: at }) => (at.paid_at ?? 0) * 1000)
      .filter((at) => at > since && at < now - 2 * DAY);
    const isOwed = invoices.some(({ status }) => status === "open" || status === "uncollectible");
    if (paid.length > 0 && !isOwed)
      breaches.push({
        customer: customer.id,
        what: `${subscription.id} is paused (${cause || "by dunning"}), and was paid for ${new Date(Math.max(...paid)).toISOString()}`,
      });
  }
  return breaches;
};

function isPauseOf(line: string, subscription: string, after: Date): boolean {
  return (
    line.includes(subscription) && /pause/.test(line.slice(25)) && line.slice(0, 24) > after.toISOString()
  );
}

/** A credit note or a balance is not money: https://docs.stripe.com/invoicing/dashboard/credit-notes. */
export const recoveredIsMoney: Invariant = (evidence) =>
  evidence.cases.flatMap((one) => {
    const about = evidence.caseInvoices.get(one.id) ?? [];
    const most = evidence.atStripe.invoices
      .filter(({ id }) => about.includes(id ?? ""))
      .map(
        ({ total, pre_payment_credit_notes_amount: credited, starting_balance: from, ending_balance: to }) =>
          total - credited - Math.max(0, (to ?? from) - from),
      )
      .reduce((sum, amount) => sum + Math.max(0, amount), 0);
    const hasLied = one.amount_recovered > most || (one.outcome === "recovered" && most === 0);
    return hasLied
      ? [
          {
            customer: one.customer,
            what: `case ${one.id} is ${one.outcome ?? one.status} with ${one.amount_recovered}, and at most ${most} was paid`,
          },
        ]
      : [];
  });

/** At the end, every hold of an open case has a reason that is still true. */
export const holdsAreTrue: Invariant = (evidence) => {
  const { customers } = evidence.simulation;
  return evidence.cases.flatMap((one) => {
    if (one.status !== "open") return [];
    const customer = customers.find(({ id }) => id === one.customer);
    if (customer === undefined || customer.lost > 0) return [];
    const subscription = evidence.atStripe.subscriptions.find(({ id }) => id === one.subscription);
    const truths: Record<string, boolean> = {
      undeliverable_address: !/^(person|delayed|moved)/.test(customer.addresses.at(-1) ?? ""),
      paused_collection: subscription?.pause_collection !== null || subscription.status === "paused",
      manual: customer.log.some((line) => / hold: /.test(line)),
      excluded_customer: customer.log.some((line) => / exclude: /.test(line)),
      dispute: customer.log.some((line) => / disputed_purchase: /.test(line)),
    };
    return one.holds
      .filter((hold) => truths[hold] === false)
      .map((hold) => ({
        customer: one.customer,
        what: `case ${one.id} is held by ${hold}, which is not true`,
      }));
  });
};

const SAYS_IT_WORKS = /Everything keeps working in the meantime/;

/** Where a mail says that everything works, no subscription that it is about is paused or canceled. */
export const mailsAreTrue: Invariant = (evidence) => {
  const changes = new Map<string, { at: number; works: boolean; isGone: boolean; leavesAt: number }[]>();
  for (const { created, type, data } of evidence.simulation.world.local.events.all()) {
    if (!type.startsWith("customer.subscription.")) continue;
    const {
      id,
      status,
      cancel_at: leaves,
    } = data.object as {
      id: string;
      status: string;
      cancel_at: number | null;
    };
    const works = !["paused", "canceled", "unpaid", "incomplete"].includes(status);
    const leavesAt = (leaves ?? Number.POSITIVE_INFINITY) * 1000;
    changes.set(id, [
      ...(changes.get(id) ?? []),
      { at: created * 1000, works, isGone: status === "canceled", leavesAt },
    ]);
  }
  return evidence.emails.flatMap((email) => {
    if (!evidence.mails.has(email.tag)) return [];
    const customer = evidence.customerOf(email.customer_id);
    const { late, quarantined } = customer.plan.webhookFaults;
    if (customer.lost > 0 || late !== null || quarantined !== null) return [];
    const about = evidence.dunningActions.filter(({ tag }) => tag === email.tag);
    return about.flatMap(({ case_id }) => {
      const id = evidence.cases.find((one) => one.id === case_id)?.subscription ?? "";
      // A change of the last hours may not be known yet. After one of the next hours the mail may come too late.
      const then = changes.get(id)?.findLast(({ at }) => at <= email.created_at.getTime() - 6 * HOUR);
      const isUnchanged = !changes
        .get(id)
        ?.some(({ at }) => Math.abs(at - email.created_at.getTime()) < 6 * HOUR);
      if (then === undefined || !isUnchanged) return [];
      const lies = [
        ...(SAYS_IT_WORKS.test(email.text) && !then.works ? ["that everything works"] : []),
        ...(/we will cancel/.test(email.text) && about.length === 1 && then.isGone
          ? ["that it will be canceled, and it has ended"]
          : []),
        ...(about.length === 1 && endOf(email.text) > then.leavesAt + DAY
          ? [`an end after ${new Date(then.leavesAt).toISOString()}, when they leave anyway`]
          : []),
      ];
      return lies.map((lie) => ({
        customer: email.customer_id,
        what: `${email.template} of ${email.created_at.toISOString()} says ${lie}: ${id}`,
      }));
    });
  });
};

/** The day on which a mail says that something ends (Unix milliseconds); minus infinity where it names none. */
function endOf(text: string): number {
  const day = /(?:we will cancel|will be paused|will end).* on ([A-Z][a-z]+ \d+, \d{4})/.exec(text)?.[1];
  return day === undefined ? Number.NEGATIVE_INFINITY : Date.parse(`${day} 12:00 UTC`);
}

/** Invariants of debts, cards and pauses. */
export const DEBT_INVARIANTS = {
  "asks nobody for an upgrade that was declined, and ends nothing for one": upgradesAreNoDebt,
  "ends nothing whose customer gave a card that works": newCardsAreCharged,
  "resumes what was paused for a debt that is paid": paidIsResumed,
  "counts as recovered what was paid with money, and nothing else": recoveredIsMoney,
  "holds a case only for reasons that are still true": holdsAreTrue,
  "says in mails that something works, or ends, only where it does": mailsAreTrue,
} satisfies Record<string, Invariant>;
