import pc from "picocolors";
import type { RunState } from "../../../supabase/functions/_duebase/history/runs.ts";
import type { AccessReport, LinkReport, OldDebts, UnlinkedPayer } from "./moving-in.ts";
import type { Survey } from "./survey.ts";

const count = (value: number): string => value.toLocaleString("en-US");

/** Amounts by currency, in minor units: how many decimals a currency has is Stripe's to say. */
function amountsAsText(amounts: Record<string, number>): string {
  const parts = Object.entries(amounts).map(
    ([currency, amount]) => `${count(amount)} ${currency} (minor units)`,
  );
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

function agesAsText(byAge: Record<string, number>): string {
  return Object.entries(byAge)
    .filter(([, invoices]) => invoices > 0)
    .map(([age, invoices]) => `${count(invoices)} ${age}`)
    .join(", ");
}

/** What a dry run found. */
export function surveyAsText(survey: Survey, seconds: number): string {
  const lines = Object.entries(survey.objects).map(
    ([step, objects]) => `  ${step.replaceAll("_", " ").padEnd(20)} ${count(objects).padStart(10)}`,
  );
  return [
    pc.bold("What a backfill would read"),
    ...lines,
    "",
    `It takes about ${count(survey.calls)} calls, ${durationAsText(seconds)} at the least.`,
    `Payers: ${count(survey.payers)}; nothing at Stripe names an owner for ${count(survey.payersWithoutOwner.length)} of them.`,
    `Open invoices: ${count(survey.openInvoices.invoices)}, ${amountsAsText(survey.openInvoices.amounts)}${
      survey.openInvoices.invoices > 0 ? `: ${agesAsText(survey.openInvoices.byAge)}` : ""
    }`,
    "0 mails. Nothing was written.",
  ].join("\n");
}

export function durationAsText(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
}

/** How a run went. */
export function runAsText(run: RunState): string {
  const lines = run.steps.map(
    ({ step, objects, applied, stale, failed }) =>
      `  ${step.replaceAll("_", " ").padEnd(20)} ${count(objects).padStart(10)} read ${count(applied).padStart(10)} applied` +
      `${stale > 0 ? ` ${count(stale)} older than what is known` : ""}${failed > 0 ? pc.red(` ${count(failed)} failed`) : ""}`,
  );
  const state =
    run.status === "complete"
      ? pc.green("complete")
      : run.status === "running"
        ? pc.yellow("not complete yet")
        : pc.red(run.status);
  return [
    `${pc.bold(`${run.kind} ${run.id}`)}: ${state}, ${count(Number(run.calls))} calls`,
    ...lines,
    ...(run.problem === null ? [] : [pc.red(run.problem)]),
  ].join("\n");
}

export function mailsAsText(mails: number): string {
  if (mails === 0) return "0 mails were enqueued, and nothing was changed at Stripe.";
  return `${count(mails)} mails were enqueued meanwhile, none of them by what was read of the past: by webhooks, or about cases that were open. Nothing was changed at Stripe.`;
}

export function linksAsText(report: LinkReport): string {
  const outcomes = Object.entries(report.outcomes).map(([outcome, links]) => `${count(links)} ${outcome}`);
  return [
    `Links: ${count(report.links)} given${outcomes.length > 0 ? `: ${outcomes.join(", ")}` : ""}`,
    ...report.reasons.map(({ customer, outcome, reason }) => `  ${customer} ${outcome}: ${reason}`),
  ].join("\n");
}

export function unlinkedAsText(payers: UnlinkedPayer[]): string {
  if (payers.length === 0) return "Every payer belongs to an owner.";
  return [
    pc.yellow(`${count(payers.length)} payers belong to nobody here and have no access:`),
    ...payers.slice(0, 20).map(({ customer, email }) => `  ${customer} ${email ?? ""}`),
    ...(payers.length > 20
      ? [`  and ${count(payers.length - 20)} more: select * from billing.unlinked_payers`]
      : []),
  ].join("\n");
}

export function debtsAsText(debts: OldDebts): string {
  if (debts.invoices === 0) return "Nothing was overdue before.";
  return [
    `Old debts: ${count(debts.invoices)} invoices of ${count(debts.customers)} customers, ${amountsAsText(debts.amounts)}: ${agesAsText(debts.byAge)}.`,
    "Nobody is mailed about them until you release them. See npx duebase old-debts.",
  ].join("\n");
}

export function accessAsText(report: AccessReport): string {
  const list = (rows: { owner_id: string; feature: string }[]) =>
    rows.slice(0, 20).map(({ owner_id, feature }) => `  ${owner_id} ${feature}`);
  return [
    `Access: ${count(report.same)} the same, ${count(report.lost.length)} that would be lost, ${count(report.gained.length)} that would be new.`,
    ...(report.lost.length > 0
      ? [pc.yellow("Has access in your table, and would not have it here:"), ...list(report.lost)]
      : []),
    ...(report.gained.length > 0
      ? ["Would have access here, and has none in your table:", ...list(report.gained)]
      : []),
  ].join("\n");
}
