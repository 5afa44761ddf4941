import Table from "cli-table3";
import pc from "picocolors";
import { compact } from "../duebase/look.ts";
import { moneyParts } from "./chart.ts";
import {
  type CurrencyFigures,
  type Figures,
  type MonthFigures,
  rateOf,
  stageNames,
  stages,
  totalsOf,
} from "./figures.ts";
import { amountIn, currencyName, days, monthName, percent } from "./format.ts";

/** The marks of the bars differ in shape too: not everybody sees colours, and not every terminal has them. */
const marks = {
  recovered: (width: number) => pc.cyan("█".repeat(width)),
  lost: (width: number) => pc.red("▓".repeat(width)),
  forgiven: (width: number) => pc.magenta("▒".repeat(width)),
  open: (width: number) => pc.dim("░".repeat(width)),
};

/** The whole report as text, for a terminal of so many columns. */
export function reportAsText(figures: Figures, columns: number): string {
  if (figures.currencies.length === 0) return "No payment has been overdue in this time.";
  return figures.currencies.map((currency) => currencyAsText(currency, columns)).join("\n\n");
}

function currencyAsText(figures: CurrencyFigures, columns: number): string {
  const { currency, months } = figures;
  const totals = totalsOf(figures);
  const money = (amount: bigint) => amountIn(amount, currency);
  const table = new Table({
    head: [
      "opened",
      "cases",
      "recovered",
      "lost",
      "open",
      "held",
      "credited",
      "let off",
      "rate",
      "days",
      "came in",
      "of",
    ],
    colAligns: ["left", ...Array<"right">(11).fill("right")],
    ...compact,
  });
  for (const month of months) {
    table.push([
      monthName(month.month),
      month.opened,
      month.recovered,
      month.lost,
      month.stillOpen,
      month.held,
      month.settledWithoutPayment,
      month.letOff,
      percent(rateOf(month)),
      days(month.medianDays),
      money(month.amountRecovered),
      money(month.amountDue),
    ]);
  }
  return [
    pc.bold(
      `${currencyName(currency)}: ${money(totals.amountRecovered)} of ${money(totals.amountDue)} recovered, ` +
        `${percent(totals.recoveryRate)} of ${counted(totals.recovered + totals.lost)} that ended; ` +
        `${money(totals.amountForgiven)} forgiven; ${money(totals.amountAtRisk)} at risk now`,
    ),
    table.toString(),
    `${marks.recovered(1)} recovered  ${marks.lost(1)} lost  ${marks.forgiven(1)} forgiven  ${marks.open(1)} open`,
    monthBars(months, currency, columns),
    "",
    "Recovered after",
    countBars(
      stages.map((stage) => [stageNames[stage] ?? stage, totals.recoveredAfter[stage]]),
      columns,
    ),
    ...riskLines(figures, columns),
  ].join("\n");
}

function monthBars(months: readonly MonthFigures[], currency: string, columns: number): string {
  const sums = months.map((month) => moneyParts.reduce((sum, { of }) => sum + of(month), 0n));
  const labels = sums.map((sum) => amountIn(sum, currency));
  const room = Math.max(10, columns - 10 - Math.max(...labels.map(({ length }) => length)));
  const most = Math.max(...sums.map(Number));
  if (most === 0) return pc.dim("No money is known to have been overdue.");
  return months
    .map((month, index) => {
      let end = 0n;
      let drawn = 0;
      const bar = moneyParts.map(({ name, of }) => {
        end += of(month);
        // Of the sums, so that the parts of a bar are as long together as the bar.
        const until = Math.round((Number(end) / most) * room);
        const part = marks[name](until - drawn);
        drawn = until;
        return part;
      });
      return `${monthName(month.month)} ${bar.join("")} ${labels[index]}`;
    })
    .join("\n");
}

function countBars(rows: readonly (readonly [label: string, count: number])[], columns: number): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  const room = Math.max(10, columns - width - 8);
  const most = Math.max(...rows.map(([, count]) => count));
  if (most === 0) return pc.dim("No case has been recovered yet.");
  return rows
    .map(([label, count]) => {
      const bar = marks.recovered(Math.round((count / most) * room));
      return `${label.padEnd(width)} ${bar}${count > 0 ? " " : ""}${count}`;
    })
    .join("\n");
}

function riskLines({ risk, currency }: CurrencyFigures, columns: number): string[] {
  if (risk.length === 0) return [];
  const width = Math.max(...risk.map(({ stage }) => (stageNames[stage] ?? stage).length));
  const labels = risk.map(
    ({ amount, cases, held }) =>
      `${amountIn(amount, currency)} in ${counted(cases)}${held > 0 ? `, ${held} held` : ""}`,
  );
  const room = Math.max(10, columns - width - 3 - Math.max(...labels.map(({ length }) => length)));
  const most = Math.max(1, ...risk.map(({ amount }) => Number(amount)));
  return [
    "",
    "At risk now, by the last step taken",
    ...risk.map(({ stage, amount }, index) => {
      const bar = marks.open(Math.max(1, Math.round((Number(amount) / most) * room)));
      return `${(stageNames[stage] ?? stage).padEnd(width)} ${bar} ${labels[index]}`;
    }),
  ];
}

const counted = (cases: number) => `${cases} ${cases === 1 ? "case" : "cases"}`;
