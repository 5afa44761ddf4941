import Table from "cli-table3";
import pc from "picocolors";
import { moment, plain } from "../../dunning/format.ts";
import { compact, marks, words, wrapped } from "../look.ts";
import { type Health, type HealthCheck, measured } from "./health.ts";

const WIDEST = 140;

/** The checks as a table, and under it what is not green, since when, and what to do. */
export function healthAsText(health: Health, columns: number): string {
  const { checks, status, as_of, app } = health;
  const width = Math.min(columns, WIDEST);
  return [
    pc.bold(`${plain(app)}: ${words[status]}`) + pc.dim(`  ${moment(as_of)} UTC`),
    checksTable(checks),
    ...checks.filter((check) => check.status !== "green").flatMap((check) => troubleAsText(check, width)),
    ...alarmLines(health),
    summary(checks),
  ].join("\n");
}

/** Every check: its light, what it is now, and what it is to be. */
function checksTable(checks: readonly HealthCheck[]): string {
  const table = new Table({
    head: ["", "check", "now", "target"],
    colAligns: ["left", "left", "right", "left"],
    ...compact,
  });
  for (const check of checks) {
    table.push([marks[check.status], check.name, measured(check), check.target ?? ""]);
  }
  return table.toString();
}

function troubleAsText({ name, status, meaning, since, cure }: HealthCheck, width: number): string[] {
  const lines = (text: string, colour: (line: string) => string) =>
    wrapped(plain(text), width - 2).map((line) => `  ${colour(line)}`);
  return [
    `${marks[status]} ${pc.bold(name)}${since === null ? "" : pc.dim(`  since ${moment(since)}`)}`,
    ...lines(meaning, (line) => line),
    ...(cure === null ? [] : lines(`→ ${cure}`, pc.cyan)),
    "",
  ];
}

function alarmLines({ alarms }: Health): string[] {
  const told = alarms.filter(({ last_told_at }) => last_told_at !== null);
  if (told.length === 0) return [];
  return [
    pc.bold("Alarms of the last week"),
    ...told.map(
      ({ name, began_at, ended_at, last_told_at, told_by }) =>
        `  ${name}: ${moment(began_at)} – ${ended_at === null ? "now" : moment(ended_at)}, last told ${moment(last_told_at)} by ${told_by}`,
    ),
    "",
  ];
}

function summary(checks: readonly HealthCheck[]): string {
  const count = (of: HealthCheck["status"]) => checks.filter(({ status }) => status === of).length;
  return (["green", "amber", "red"] as const).map((of) => `${count(of)} ${words[of]}`).join(", ");
}
