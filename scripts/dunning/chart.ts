import { bars, type Column, stackedColumns } from "../duebase/chart.ts";
import type { CurrencyFigures, MonthFigures } from "./figures.ts";
import { stageNames, stages, totalsOf } from "./figures.ts";
import { amountIn, monthName, roughly } from "./format.ts";

/** What becomes of overdue money, from below, with the colour it has in every chart. */
export const moneyParts = [
  { colour: "good", name: "recovered", of: (month: MonthFigures) => month.amountRecovered },
  { colour: "bad", name: "lost", of: (month: MonthFigures) => month.amountLost },
  { colour: "forgiven", name: "forgiven", of: (month: MonthFigures) => month.amountForgiven },
  { colour: "open", name: "open", of: (month: MonthFigures) => month.amountOpen },
] as const;

/** Stacked columns, one a month: what of the overdue money came in, was lost, was forgiven, and is open. */
export function monthsChart({ months, currency }: CurrencyFigures): string {
  const columns = months.map(
    (month, index): Column => ({
      label: monthLabel(months, index),
      name: monthName(month.month),
      parts: moneyParts.map(({ colour, name, of }) => ({
        colour,
        name,
        size: Number(of(month)),
        value: amountIn(of(month), currency),
      })),
    }),
  );
  const title = "Overdue money by the month in which it became overdue";
  return stackedColumns(
    title,
    columns,
    (size) => roughly(size, currency),
    "No money is known to have been overdue.",
  );
}

/** A bar for each mail: how many cases were recovered when it had been the last one. */
export function stepsChart(figures: CurrencyFigures): string {
  const { recoveredAfter } = totalsOf(figures);
  return bars(
    "Recovered cases by the last mail before the payment",
    "good",
    stages.map((stage) => ({
      label: stageNames[stage] ?? stage,
      size: recoveredAfter[stage],
      value: String(recoveredAfter[stage]),
    })),
    "No case has been recovered yet.",
  );
}

/** A bar for each step: what is owed in the open cases that have come so far. */
export function riskChart({ risk, currency }: CurrencyFigures): string {
  return bars(
    "Money at risk now by the last step taken",
    "open",
    risk.map(({ stage, amount, cases, held }) => ({
      label: stageNames[stage] ?? stage,
      size: Number(amount),
      value: `${amountIn(amount, currency)} · ${cases} ${cases === 1 ? "case" : "cases"}${held > 0 ? `, ${held} held` : ""}`,
    })),
    "Nothing is at risk now.",
  );
}

/** The year where it begins; of very many months only some are named. */
function monthLabel(months: readonly MonthFigures[], index: number): string {
  const month = months[index]?.month ?? "";
  if (months.length > 18 && index % Math.ceil(months.length / 12) !== 0) return "";
  const isFirst = index === 0 && months[1]?.month.endsWith("-01-01") !== true;
  const isNewYear = isFirst || month.endsWith("-01-01") || months.length > 18;
  return monthName(month, isNewYear);
}
