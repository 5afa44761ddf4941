import { escaped, page, tiles } from "../duebase/page.ts";
import { monthsChart, riskChart, stepsChart } from "./chart.ts";
import { type CurrencyFigures, type Figures, rateOf, totalsOf } from "./figures.ts";
import { amountIn, currencyName, days, moment, monthName, percent } from "./format.ts";

/** The report as one HTML file that needs nothing else: no script, no network. */
export function reportAsPage(figures: Figures): string {
  const sections = figures.currencies.map(section);
  return page(
    "Payment recovery",
    `As of ${moment(figures.asOf)} UTC. Cases count in the month in which they were opened.`,
    sections.length > 0 ? sections : ["<p>No payment has been overdue in this time.</p>"],
  );
}

function section(figures: CurrencyFigures): string {
  return `
<h2>${escaped(currencyName(figures.currency))}</h2>
${tiles(figuresOf(figures))}
<h3>Overdue money by month</h3>
${monthsChart(figures)}
<h3>Recovered after</h3>
${stepsChart(figures)}
<h3>At risk now, by the last step taken</h3>
${riskChart(figures)}
<h3>In figures</h3>
<div class="wide">${monthsTable(figures)}</div>
`;
}

function figuresOf(figures: CurrencyFigures): [name: string, value: string, note: string][] {
  const totals = totalsOf(figures);
  const money = (amount: bigint) => amountIn(amount, figures.currency);
  const cases = (count: number) => `${count} ${count === 1 ? "case" : "cases"}`;
  const ended = totals.recovered + totals.lost;
  return [
    ["Recovered", money(totals.amountRecovered), `of ${money(totals.amountDue)} overdue`],
    ["Recovery rate", percent(totals.recoveryRate), `${totals.recovered} of ${cases(ended)} that ended`],
    ["Lost", money(totals.amountLost), cases(totals.lost)],
    ["Forgiven", money(totals.amountForgiven), `${cases(totals.forgiven)}: credited, voided, closed by hand`],
    ["At risk now", money(totals.amountAtRisk), `${totals.casesAtRisk} open, ${totals.heldAtRisk} held`],
  ];
}

const columns = [
  "Opened in",
  "Cases",
  "Recovered",
  "Lost",
  "Open",
  "Held",
  "Credited",
  "Let off",
  "Rate",
  "Median days",
  "Money overdue",
  "Money recovered",
  "Money lost",
  "Money forgiven",
  "Money open",
];

function monthsTable({ months, currency }: CurrencyFigures): string {
  const rows = months.map((month) => [
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
    amountIn(month.amountDue, currency),
    amountIn(month.amountRecovered, currency),
    amountIn(month.amountLost, currency),
    amountIn(month.amountForgiven, currency),
    amountIn(month.amountOpen, currency),
  ]);
  const line = (tag: "th" | "td", cells: (string | number)[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(String(cell))}</${tag}>`).join("")}</tr>`;
  return `<table>\n${[line("th", columns), ...rows.map((cells) => line("td", cells))].join("\n")}\n</table>`;
}
