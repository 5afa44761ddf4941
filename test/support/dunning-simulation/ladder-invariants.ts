import { DAY, HOUR } from "../dunning-world.ts";
import {
  type Breach,
  type Case,
  type DunningAction,
  type Evidence,
  type Invariant,
  mailOf,
} from "./evidence.ts";
import { endDay, firstDay, lastDay } from "./policies.ts";

const FAILURE = /^payment-failed-/;
/** Status of an action whose mail did not arrive: another mail may be sent. */
const UNDELIVERABLE = "undeliverable";

const sameStepTwice: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  for (const [tag, mails] of evidence.mails) {
    const [first, ...others] = mails;
    const email = evidence.emails.find((one) => one.tag === tag);
    if (first && others.length > 0 && email)
      breaches.push({
        customer: email.customer_id,
        what: `${first.tags.template} left ${mails.length} times: ${email.dedupe_key}`,
      });
  }
  const taken = new Map<string, DunningAction>();
  for (const action of evidence.dunningActions) {
    if (action.kind === "end" || action.status === UNDELIVERABLE || mailOf(action, evidence) === undefined)
      continue;
    const key = `${action.case_id} ${action.position} ${action.anchor_invoice}`;
    const before = taken.get(key);
    // A stale warning is sent again, see warnedAgain.
    if (before && before.superseded_at === null)
      breaches.push(
        of(
          action,
          evidence,
          `${action.kind} left twice for ${action.anchor_invoice}: actions ${before.id}, ${action.id}`,
        ),
      );
    taken.set(key, action);
  }
  return breaches;
};

const twiceInADay: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  const left = new Map<string, { at: Date; mail: string; kind: string; decidedAt: number }[]>();
  const told = new Set<number>();
  const sent = evidence.dunningActions.flatMap((action) => {
    const mail = mailOf(action, evidence);
    return mail && FAILURE.test(mail.tags.template ?? "") ? [{ action, mail }] : [];
  });
  sent.sort((one, other) => one.mail.seq - other.mail.seq);
  for (const { action, mail } of sent) {
    const { customer, currency } = caseOf(action, evidence);
    const decidedAt = action.decided_at.getTime();
    const earlier = left.get(`${customer} ${currency}`) ?? [];
    // One run sends one mail for each severity.
    const before = earlier.findLast(
      (one) => one.mail !== mail.id && (one.decidedAt !== decidedAt || one.kind === action.kind),
    );
    // A notice of another failed payment is sent at once.
    const isNews = action.kind === "notice" && !told.has(action.case_id);
    told.add(action.case_id);
    if (!isNews && before && mail.at.getTime() - before.at.getTime() < 20 * HOUR)
      breaches.push(
        of(
          action,
          evidence,
          `${mail.tags.template} of ${mail.at.toISOString()} came after one of ${before.at.toISOString()}`,
        ),
      );
    left.set(`${customer} ${currency}`, [
      ...earlier,
      { at: mail.at, mail: mail.id, kind: action.kind, decidedAt },
    ]);
  }
  return breaches;
};

const outOfOrder: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  const reached = new Map<string, number>();
  const begun = new Set<number>();
  for (const action of evidence.dunningActions) {
    const key = `${action.case_id} ${action.anchor_invoice}`;
    const before = reached.get(key) ?? 0;
    const counts =
      action.superseded_at === null && !["canceled", UNDELIVERABLE, "not_needed"].includes(action.status);
    if (counts && action.position <= before)
      breaches.push(
        of(action, evidence, `${action.kind} (${action.position}) was taken after position ${before}`),
      );
    if (!begun.has(action.case_id) && action.position !== 1)
      breaches.push(of(action, evidence, `the case began with ${action.kind}`));
    begun.add(action.case_id);
    if (counts) reached.set(key, Math.max(before, action.position));
  }
  return breaches;
};

const notWarned: Invariant = (evidence) =>
  evidence.simulation.ends.flatMap((end) => {
    const warnings = evidence.dunningActions.filter(
      (action) =>
        action.case_id === end.caseId && action.kind === "final_warning" && action.status !== UNDELIVERABLE,
    );
    const isWarned = warnings.some((action) => {
      const mail = mailOf(action, evidence);
      return (
        mail?.tags.template === "payment-failed-final" && mail.at.getTime() <= end.at.getTime() - 3 * DAY
      );
    });
    return isWarned
      ? []
      : [
          {
            customer: end.customer,
            what: `${end.kind} of ${end.object} at ${end.at.toISOString()} without three days' warning`,
          },
        ];
  });

const NAMED = /(?:we will cancel|will be paused).* on ([A-Z][a-z]+ \d+, \d{4})/;
/** Stands beside the invoice in a mail about several debts that do not end on one day. */
const NAMED_BESIDE = /(?:ends|paused) on ([A-Z][a-z]+ \d+, \d{4})/;

/** The day of the end that a warning's mail names, at noon UTC, and whether the mail is about one case only. */
function namedBy(warning: DunningAction, evidence: Evidence): { end: number; isAlone: boolean } | undefined {
  const email = evidence.emails.find(({ tag }) => tag === warning.tag);
  const text = email?.text ?? "";
  const beside = text.split("\n").filter((line) => line.includes(warning.anchor_invoice));
  const day = NAMED_BESIDE.exec(beside.join("\n"))?.[1] ?? NAMED.exec(text)?.[1];
  const isAlone = evidence.dunningActions.filter(({ tag }) => tag === warning.tag).length === 1;
  return day === undefined ? undefined : { end: Date.parse(`${day} 12:00 UTC`), isAlone };
}

const notTold: Invariant = (evidence) =>
  evidence.simulation.ends.flatMap((end) => {
    if (end.kind === "mark_uncollectible") return [];
    const named = evidence.dunningActions
      .filter(
        (action) =>
          action.case_id === end.caseId && action.kind === "final_warning" && action.status === "sent",
      )
      .flatMap((action) => namedBy(action, evidence) ?? []);
    const at = end.at.getTime();
    const isTold = named.some(
      (warning) => at >= warning.end && (!warning.isAlone || at <= warning.end + 7 * DAY + HOUR),
    );
    return isTold
      ? []
      : [
          {
            customer: end.customer,
            what: `${end.kind} of ${end.object} at ${end.at.toISOString()}, and its warnings named ${
              named.map((warning) => new Date(warning.end).toISOString()).join(", ") || "no day"
            }`,
          },
        ];
  });

const endedEarly: Invariant = (evidence) =>
  evidence.simulation.ends.flatMap((end) => {
    const last = evidence.dunningActions.findLast(
      ({ case_id, kind }) => case_id === end.caseId && kind === "end",
    );
    const policy = evidence.cases.find(({ id }) => id === end.caseId)?.policy ?? null;
    const known = last && evidence.knownAt.get(last.anchor_invoice);
    // No event arrived about the debt: it was only read from Stripe.
    if (known === undefined) return [];
    const days = (end.at.getTime() - known.getTime()) / DAY;
    return days >= endDay(policy)
      ? []
      : [
          {
            customer: end.customer,
            what: `${end.kind} of ${end.object} ${days.toFixed(1)} days after the first event about it`,
          },
        ];
  });

const warnedAgain: Invariant = (evidence) =>
  evidence.dunningActions.flatMap((action) => {
    if (action.kind !== "final_warning" || action.superseded_at === null || action.status !== "sent")
      return [];
    const named = namedBy(action, evidence)?.end ?? action.ends_at?.getTime();
    return named === undefined || action.superseded_at.getTime() > named + 7 * DAY
      ? []
      : [
          of(
            action,
            evidence,
            `warned again ${action.superseded_at.toISOString()}, though the warning stood`,
          ),
        ];
  });

const paidBefore: Invariant = (evidence) =>
  evidence.simulation.ends.flatMap((end) => {
    const about =
      evidence.dunningActions.find(({ case_id, kind }) => case_id === end.caseId && kind === "end")
        ?.invoices ?? [];
    if (end.processing.length > 0)
      return [
        {
          customer: end.customer,
          what: `${end.kind} of ${end.object} while ${end.processing[0]} was processing`,
        },
      ];
    return end.kind === "mark_uncollectible" || about.some((invoice) => end.unpaid.includes(invoice))
      ? []
      : [
          {
            customer: end.customer,
            what: `${end.kind} of ${end.object} at ${end.at.toISOString()} though ${about.join(", ")} was paid, voided or written off`,
          },
        ];
  });

/** How many days late a step may be: no run is missed in the last weeks, and ends are made at noon. */
const SLACK_DAYS = 5;

const leftOpen: Invariant = (evidence) => {
  const { now } = evidence.simulation.world;
  const breaches: Breach[] = [];
  for (const open of evidence.cases.filter(({ status }) => status === "open")) {
    // A debt that was below the minimum, or unknown, opens a case long after it fell due.
    const begun = Math.max(open.anchor_at.getTime(), open.opened_at.getTime());
    const since = (now.getTime() - begun) / DAY;
    const hasEnd = open.policy !== "endless" && !isFinalInvoice(open, evidence);
    // The first step is taken by the daily run after its day at the latest. A late event may have moved the anchor since.
    const notTaken =
      since > firstDay(open.policy) + 2 &&
      !evidence.dunningActions.some(({ case_id }) => case_id === open.id);
    if (open.holds.length === 0 && ((hasEnd && since > lastDay(open.policy) + SLACK_DAYS) || notTaken))
      breaches.push({
        customer: open.customer,
        what: `case ${open.id} of ${open.subject_id} is still open after ${since.toFixed(1)} days`,
      });
  }
  const known = new Set(evidence.cases.map(({ subject_id }) => subject_id));
  for (const invoice of evidence.atStripe.invoices) {
    const subscription = String(invoice.parent?.subscription_details?.subscription);
    const customer = evidence.customerOf(String(invoice.customer));
    const status = evidence.atStripe.subscriptions.find(({ id }) => id === subscription)?.status;
    const isOverdue =
      invoice.status === "open" &&
      (invoice.due_date === null ? invoice.attempt_count > 0 : invoice.due_date * 1000 < now.getTime()) &&
      invoice.created * 1000 < now.getTime() - 3 * DAY;
    if (
      isOverdue &&
      !known.has(subscription) &&
      customer.lost === 0 &&
      !customer.upgrades.has(invoice.id ?? "") &&
      customer.plan.policy !== "modest" &&
      status !== "canceled"
    )
      breaches.push({
        customer: customer.id,
        what: `${invoice.id} of ${subscription} is overdue, and no case was opened`,
      });
  }
  return breaches;
};

/** The final invoice of a canceled subscription. Its case stays open as a debt: there is nothing left to end. */
function isFinalInvoice({ subject_id, subscription }: Case, { atStripe }: Evidence): boolean {
  const invoice = atStripe.invoices.find(({ id }) => id === subject_id);
  const of = subscription ?? invoice?.parent?.subscription_details?.subscription;
  const { status, ended_at } = atStripe.subscriptions.find(({ id }) => id === of) ?? {};
  return invoice !== undefined && status === "canceled" && invoice.created >= (ended_at ?? 0);
}

const afterPayment: Invariant = (evidence) =>
  evidence.emails.flatMap((email) => {
    if (!FAILURE.test(email.template)) return [];
    const actions = evidence.dunningActions.filter(({ tag }) => tag === email.tag);
    const paid = actions
      .flatMap(({ invoices }) => invoices)
      .filter((invoice) => (evidence.closedAt.get(invoice) ?? email.created_at) < email.created_at);
    const closed = actions
      .map((action) => caseOf(action, evidence))
      .filter(({ closed_at }) => closed_at !== null && closed_at < email.created_at);
    return [
      ...paid.map((invoice) => ({
        customer: email.customer_id,
        what: `${email.template} was begun ${email.created_at.toISOString()} though ${invoice} was known to be paid, voided or written off`,
      })),
      ...closed.map(({ id }) => ({
        customer: email.customer_id,
        what: `${email.template} was begun ${email.created_at.toISOString()} though case ${id} was closed`,
      })),
    ];
  });

const afterPaymentAtStripe: Invariant = (evidence) => {
  const paidAt = new Map(
    evidence.atStripe.invoices.map(({ id, status_transitions }) => [
      id,
      (status_transitions.paid_at ?? Infinity) * 1000,
    ]),
  );
  return evidence.dunningActions.flatMap((action) => {
    const isMail = action.kind !== "end" && mailOf(action, evidence) !== undefined;
    const paid = action.invoices.filter((id) => (paidAt.get(id) ?? Infinity) < action.decided_at.getTime());
    return isMail && paid.length > 0
      ? [
          of(
            action,
            evidence,
            `${action.kind} was decided on though ${paid.join(", ")} had been paid at Stripe`,
          ),
        ]
      : [];
  });
};

const wrongRecovery: Invariant = (evidence) => {
  const breaches: Breach[] = [];
  for (const email of evidence.emails.filter(({ template }) => template === "payment-recovered")) {
    const caseId = Number(email.dedupe_key.split(":")[1]);
    const told = evidence.dunningActions.some(
      (action) =>
        action.case_id === caseId && action.kind !== "end" && mailOf(action, evidence) !== undefined,
    );
    if (!told)
      breaches.push({
        customer: email.customer_id,
        what: `payment-recovered of case ${caseId}, whose customer was never told of the failure`,
      });
  }
  for (const closed of evidence.cases.filter(({ outcome }) => outcome === "recovered")) {
    const wasTold = evidence.dunningActions.some(
      (action) => action.case_id === closed.id && action.kind !== "end" && action.status === "sent",
    );
    const wasEnded = evidence.simulation.ends.some(({ caseId }) => caseId === closed.id);
    const customer = evidence.customerOf(closed.customer);
    const isReachable =
      !customer.isDeleted && customer.addresses.every((address) => /^(person|delayed|moved)/.test(address));
    // The mail of a resumption tells it too. So does the receipt, where the resumption was canceled for a newer debt,
    // or where one of several invoices was paid and the others may be written off later.
    const resumed = `resumed:${closed.subscription}:`;
    const about = evidence.caseInvoices.get(closed.id) ?? [];
    const receipts = about
      .filter((invoice) => about.length > 1 || evidence.resumesOnPayment.has(invoice))
      .map((invoice) => `receipt:${invoice}`);
    const isTold = evidence.emails.some(
      ({ dedupe_key, status, created_at }) =>
        status !== "pending" &&
        (dedupe_key === `recovered:${closed.id}` ||
          receipts.includes(dedupe_key) ||
          (dedupe_key.startsWith(resumed) && created_at >= (closed.closed_at ?? closed.opened_at))),
    );
    if (wasTold && !wasEnded && isReachable && !isTold)
      breaches.push({
        customer: closed.customer,
        what: `case ${closed.id} was recovered, and the customer not told`,
      });
  }
  return breaches;
};

function caseOf(action: DunningAction, { cases }: Evidence): Case {
  const found = cases.find(({ id }) => id === action.case_id);
  if (found === undefined) throw new Error(`there is no case ${action.case_id}`);
  return found;
}

function of(action: DunningAction, evidence: Evidence, what: string): Breach {
  return { customer: caseOf(action, evidence).customer, what: `case ${action.case_id}: ${what}` };
}

/** Invariants of the ladder: mails, warnings, ends and recoveries. */
export const LADDER_INVARIANTS = {
  "sends no second mail about the same step and invoice": sameStepTwice,
  "sends no reminder within twenty hours of another failure mail in the same currency": twiceInADay,
  "takes no step out of order, and begins with the first": outOfOrder,
  "ends nothing without a final warning at least three days before": notWarned,
  "ends nothing before noon of the day its customer was told, nor a week after it": notTold,
  "ends nothing before the policy's day since the debt was first heard of": endedEarly,
  "warns again only where a warning did not arrive, named no end or is stale": warnedAgain,
  "ends nothing that was paid, or being paid, before the live check": paidBefore,
  "ends every case that nothing holds by its policy in time": leftOpen,
  "decides on no failure mail about what is paid at Stripe, however late its event": afterPaymentAtStripe,
  "begins no failure mail once the payment is known": afterPayment,
  "tells a customer of a recovery if they were told of the failure, and only then": wrongRecovery,
} satisfies Record<string, Invariant>;
