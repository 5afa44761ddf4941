import type { CurrencyFigures, MonthFigures } from "./figures.ts";
import { stageNames, stages, totalsOf } from "./figures.ts";
import { amountIn, monthName, roughly } from "./format.ts";

/** Drawings for a report: SVG inside HTML. Colours are classes, which the page's style sheet fills in light and dark. */

const WIDTH = 760;

/** Text as it stands in HTML and SVG. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** Stacked columns, one a month: what of the overdue money came in, was lost, and is open. */
export function monthsChart({ months, currency }: CurrencyFigures): string {
  const [left, top, bottom, height] = [64, 12, 28, 280];
  const most = Math.max(...months.map((month) => Number(sumOf(month))));
  const ticks = ticksUpTo(most);
  const scale = (height - top - bottom) / (ticks.at(-1) || 1);
  const base = height - bottom;
  const slot = (WIDTH - left) / months.length;
  const width = Math.min(56, slot * 0.62);

  const grid = ticks.map((tick) => {
    const y = base - tick * scale;
    return `<line class="grid" x1="${left}" x2="${WIDTH}" y1="${n(y)}" y2="${n(y)}"/>
<text class="tick" x="${left - 8}" y="${n(y + 4)}" text-anchor="end">${escaped(roughly(tick, currency))}</text>`;
  });
  const columns = months.map((month, index) => {
    const x = left + index * slot + (slot - width) / 2;
    let y = base;
    const parts = partsOf(month).map(({ name, amount }) => {
      const part = Number(amount) * scale;
      y -= part;
      return part > 0
        ? `<rect class="${name}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(part)}"/>`
        : "";
    });
    const told = partsOf(month).map(({ name, amount }) => `${amountIn(amount, currency)} ${name}`);
    return `<g><title>${escaped(`${monthName(month.month)}: ${told.join(", ")}`)}</title>${parts.join("")}
<text class="tick" x="${n(x + width / 2)}" y="${height - 8}" text-anchor="middle">${monthLabel(months, index)}</text></g>`;
  });
  return svg(height, "Overdue money by the month in which it became overdue", [...grid, ...columns]);
}

/** A bar for each mail: how many cases were recovered when it had been the last one. */
export function stepsChart(figures: CurrencyFigures): string {
  const totals = totalsOf(figures);
  return bars(
    "Recovered cases by the last mail before the payment",
    "recovered",
    stages.map((stage) => ({
      label: stageNames[stage] ?? stage,
      size: totals.recoveredAfter[stage],
      value: String(totals.recoveredAfter[stage]),
    })),
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
  );
}

interface Bar {
  label: string;
  size: number;
  /** What is written behind it. */
  value: string;
}

function bars(title: string, name: string, rows: readonly Bar[]): string {
  const [left, right, row, thick] = [130, 210, 34, 20];
  const most = Math.max(1, ...rows.map(({ size }) => size));
  const drawn = rows.map(({ label, size, value }, index) => {
    const y = index * row + (row - thick) / 2;
    const length = (size / most) * (WIDTH - left - right);
    return `<text class="label" x="${left - 10}" y="${n(y + 15)}" text-anchor="end">${escaped(label)}</text>
<rect class="${name}" x="${left}" y="${n(y)}" width="${n(Math.max(length, 1))}" height="${thick}"/>
<text class="value" x="${n(left + Math.max(length, 1) + 8)}" y="${n(y + 15)}">${escaped(value)}</text>`;
  });
  return svg(rows.length * row, title, drawn);
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
${parts.join("\n")}
</svg>`;
}

function partsOf(month: MonthFigures): { name: string; amount: bigint }[] {
  return [
    { name: "recovered", amount: month.amountRecovered },
    { name: "lost", amount: month.amountLost },
    { name: "open", amount: month.amountOpen },
  ];
}

function sumOf(month: MonthFigures): bigint {
  return partsOf(month).reduce((sum, { amount }) => sum + amount, 0n);
}

/** The year where it begins; of very many months only some are named. */
function monthLabel(months: readonly MonthFigures[], index: number): string {
  const month = months[index]?.month ?? "";
  if (months.length > 18 && index % Math.ceil(months.length / 12) !== 0) return "";
  const isFirst = index === 0 && months[1]?.month.endsWith("-01-01") !== true;
  const isNewYear = isFirst || month.endsWith("-01-01") || months.length > 18;
  return monthName(month, isNewYear);
}

/** Round numbers from 0 to at least `most`: some five steps of 1, 2, 2.5 or 5 times a power of ten. */
export function ticksUpTo(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const count = Math.ceil(most / step);
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** Two decimals are finer than any screen. */
function n(value: number): string {
  return String(Math.round(value * 100) / 100);
}
