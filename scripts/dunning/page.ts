import { escaped, monthsChart, riskChart, stepsChart } from "./chart.ts";
import { type CurrencyFigures, type Figures, rateOf, totalsOf } from "./figures.ts";
import { amountIn, currencyName, days, moment, monthName, percent } from "./format.ts";

/** The colours tell recovered and lost apart for the colour-blind too, on white and on near-black. */
const style = `
:root { color-scheme: light dark; --text: #1c2430; --faint: #5d6877; --line: #dfe3e8; --page: #f5f6f8; --card: #fff;
  --recovered: #0b6bb8; --lost: #c8500a; --open: #8a94a3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7eaee; --faint: #a3adba; --line: #363d47; --page: #14171b; --card: #1d2127;
    --recovered: #58b0f0; --lost: #f0854a; --open: #8d97a5; }
}
body { margin: 0; padding: 2rem 1rem; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 0; } h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; color: var(--faint); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem; margin-top: 1.5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem; margin: 1rem 0 0; }
dt { color: var(--faint); font-size: .85rem; } dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
dd small { display: block; font-size: .85rem; font-weight: 400; color: var(--faint); }
svg { display: block; width: 100%; min-width: 36rem; height: auto; font: 13px system-ui, sans-serif; }
svg .recovered { fill: var(--recovered); } svg .lost { fill: var(--lost); } svg .open { fill: var(--open); }
svg text { fill: var(--text); } svg .tick { fill: var(--faint); } svg .grid { stroke: var(--line); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
.key:first-child { margin-left: 0; }
.key.recovered { background: var(--recovered); } .key.lost { background: var(--lost); } .key.open { background: var(--open); }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .4rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--faint); font-weight: 500; white-space: normal; vertical-align: bottom; }
`;

/** The report as one HTML file that needs nothing else: no script, no network. */
export function reportAsPage(figures: Figures): string {
  const sections = figures.currencies.map(section);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Payment recovery</title>
<style>${style}</style>
</head>
<body><main>
<h1>Payment recovery</h1>
<p>As of ${moment(figures.asOf)} UTC. Cases count in the month in which they were opened.</p>
${sections.length > 0 ? sections.join("\n") : "<section><p>No payment has been overdue in this time.</p></section>"}
</main></body>
</html>
`;
}

function section(figures: CurrencyFigures): string {
  return `<section>
<h2>${escaped(currencyName(figures.currency))}</h2>
${tiles(figures)}
<h3>Overdue money by month</h3>
<p><span class="key recovered"></span>recovered<span class="key lost"></span>lost<span class="key open"></span>open</p>
<div class="wide">${monthsChart(figures)}</div>
<h3>Recovered after</h3>
<div class="wide">${stepsChart(figures)}</div>
${figures.risk.length > 0 ? `<h3>At risk now, by the last step taken</h3>\n<div class="wide">${riskChart(figures)}</div>` : ""}
<h3>In figures</h3>
<div class="wide">${monthsTable(figures)}</div>
</section>`;
}

function tiles(figures: CurrencyFigures): string {
  const totals = totalsOf(figures);
  const money = (amount: bigint) => amountIn(amount, figures.currency);
  const ended = totals.recovered + totals.lost;
  const shown: [name: string, value: string, note: string][] = [
    ["Recovered", money(totals.amountRecovered), `of ${money(totals.amountDue)} overdue`],
    ["Recovery rate", percent(totals.recoveryRate), `${totals.recovered} of ${ended} cases that ended`],
    ["Lost", money(totals.amountLost), `${totals.lost} ${totals.lost === 1 ? "case" : "cases"}`],
    ["At risk now", money(totals.amountAtRisk), `${totals.casesAtRisk} open, ${totals.heldAtRisk} held`],
  ];
  const drawn = shown.map(
    ([name, value, note]) =>
      `<div><dt>${name}</dt><dd>${escaped(value)}<small>${escaped(note)}</small></dd></div>`,
  );
  return `<dl>${drawn.join("")}</dl>`;
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
  ]);
  const line = (tag: "th" | "td", cells: (string | number)[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(String(cell))}</${tag}>`).join("")}</tr>`;
  return `<table>\n${[line("th", columns), ...rows.map((cells) => line("td", cells))].join("\n")}\n</table>`;
}
