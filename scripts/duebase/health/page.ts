import { moment } from "../../dunning/format.ts";
import { type Column, stackedColumns } from "../chart.ts";
import { type Colour, escaped, page, tiles } from "../page.ts";
import { type Health, type HealthCheck, type HealthDay, measured } from "./health.ts";

/** The health as one HTML file that needs nothing else: no script, no network. */
export function healthAsPage(health: Health): string {
  const { app, as_of, status, checks } = health;
  const trouble = checks.filter((check) => check.status !== "green");
  return page(`${app}: health`, `As of ${moment(as_of)} UTC.`, [
    `<h2>${light(status)} ${escaped(headline(checks))}</h2>\n${tiles(figuresOf(health))}`,
    ...(trouble.length > 0 ? [`<h2>To look at</h2>\n${trouble.map(checkAsHtml).join("\n")}`] : []),
    charts(health.days),
    `<h2>Every check</h2>\n<div class="wide">${checksTable(checks)}</div>`,
    ...alarms(health),
  ]);
}

const light = (status: HealthCheck["status"]) =>
  `<span class="light ${status}">${MARKS[status]} ${status}</span>`;
/** They differ in shape too: not everybody sees colours. */
const MARKS = { green: "✔", amber: "▲", red: "✖" };

function headline(checks: readonly HealthCheck[]): string {
  const count = (of: HealthCheck["status"]) => checks.filter(({ status }) => status === of).length;
  if (checks.length === 0) return "there is no check, which is not healthy";
  return `${count("green")} of ${checks.length} checks are as they should be`;
}

/** Of the last 30 days. */
function figuresOf({ days }: Health): [name: string, value: string, note: string][] {
  const sum = (of: (day: HealthDay) => number) => days.reduce((total, day) => total + of(day), 0);
  const [events, failed] = [sum((day) => day.events), sum((day) => day.failed)];
  const [sent, delivered] = [sum((day) => day.emails_sent), sum((day) => day.emails_delivered)];
  const number = (value: number) => value.toLocaleString("en-US");
  const share = (part: number, of: number) =>
    of === 0 ? "–" : `${Math.floor((part / of) * 10_000) / 100} %`;
  return [
    ["Events", number(events), `in the last ${days.length} days`],
    ["Processed", share(events - failed, events), `${number(failed)} failed`],
    ["Mails", number(sent), "sent"],
    ["Delivered", share(delivered, sent), `${number(delivered)} of them`],
  ];
}

function checkAsHtml({ name, status, value, unit, target, meaning, since, cure }: HealthCheck): string {
  const figure =
    value === null
      ? ""
      : `${escaped(measured({ value, unit }))}<small>${target === null ? "" : escaped(`target ${target}`)}</small>`;
  return `<div class="check">${light(status)}<b>${escaped(name)}</b><span class="value">${figure}</span>
<p>${escaped(meaning)}${since === null ? "" : escaped(`; since ${moment(since)} UTC`)}</p>
${cure === null ? "" : `<p class="cure">→ ${escaped(cure)}</p>`}</div>`;
}

function charts(days: readonly HealthDay[]): string {
  const count = (size: number) => size.toLocaleString("en-US");
  const columns = (parts: (day: HealthDay) => { colour: Colour; name: string; size: number }[]): Column[] =>
    days.map((day, index) => ({
      label: (days.length - 1 - index) % 7 === 0 ? day.day.slice(5) : "",
      name: day.day,
      parts: parts(day).map((part) => ({ ...part, value: count(part.size) })),
    }));
  const events = columns(({ events, failed }) => [
    { colour: "good", name: "processed", size: Math.max(events - failed, 0) },
    { colour: "bad", name: "failed at first", size: failed },
  ]);
  const mails = columns(({ emails_sent, emails_delivered }) => [
    { colour: "good", name: "delivered", size: emails_delivered },
    { colour: "open", name: "not known to be", size: Math.max(emails_sent - emails_delivered, 0) },
  ]);
  return `<h2>The last ${days.length} days</h2>
<h3>Events by day</h3>
${stackedColumns("Events by day", events, count, "No event has come.")}
<h3>Mails by day</h3>
${stackedColumns("Mails by day", mails, count, "No mail was sent.")}`;
}

function checksTable(checks: readonly HealthCheck[]): string {
  const rows = checks.map(
    (check) =>
      `<tr><td>${light(check.status)}</td><td class="name">${escaped(check.name)}</td><td>${escaped(measured(check))}</td><td>${escaped(check.target ?? "")}</td></tr>`,
  );
  return `<table>\n<tr><th></th><th class="name">Check</th><th>Now</th><th>Target</th></tr>\n${rows.join("\n")}\n</table>`;
}

function alarms({ alarms }: Health): string[] {
  const told = alarms.filter(({ last_told_at }) => last_told_at !== null);
  if (told.length === 0) return [];
  const rows = told.map(
    ({ name, began_at, ended_at, last_told_at, told_by }) =>
      `<tr><td>${escaped(name)}</td><td>${moment(began_at)}</td><td>${ended_at === null ? "goes on" : moment(ended_at)}</td><td>${moment(last_told_at)}</td><td>${escaped(told_by ?? "")}</td></tr>`,
  );
  return [
    `<h2>Alarms of the last week</h2>\n<div class="wide"><table>\n<tr><th>Check</th><th>From</th><th>To</th><th>Last told</th><th>By</th></tr>\n${rows.join("\n")}\n</table></div>`,
  ];
}
