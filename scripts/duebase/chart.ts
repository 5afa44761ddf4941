import { type Colour, escaped, legend } from "./page.ts";

/** Drawings for a page: SVG inside HTML. Colours are classes, which the page's style sheet fills in light and dark. */

const WIDTH = 760;

/** A part of a column, from below: so much of it has this colour. */
export interface ColumnPart {
  colour: Colour;
  /** What it is, for whoever points at the column. */
  name: string;
  size: number;
  /** Its size as people read it. */
  value: string;
}

export interface Column {
  /** Under the column; may be empty. */
  label: string;
  /** What it stands for, for whoever points at it. */
  name: string;
  parts: readonly ColumnPart[];
}

/**
 * Stacked columns over an axis, with what their colours mean. Without anything to draw there is no axis either, but a sentence.
 *
 * @param tick a size as people read it, roughly
 * @param nothing what to say where every column is empty
 */
export function stackedColumns(
  title: string,
  columns: readonly Column[],
  tick: (size: number) => string,
  nothing: string,
): string {
  const most = Math.max(0, ...columns.map(({ parts }) => parts.reduce((sum, { size }) => sum + size, 0)));
  if (most === 0) return `<p>${escaped(nothing)}</p>`;
  const [left, top, bottom, height] = [64, 12, 28, 280];
  const ticks = ticksUpTo(most);
  const scale = (height - top - bottom) / (ticks.at(-1) || 1);
  const base = height - bottom;
  const slot = (WIDTH - left) / columns.length;
  const width = Math.min(56, slot * 0.62);

  const grid = ticks.map((size) => {
    const y = base - size * scale;
    return `<line class="grid" x1="${left}" x2="${WIDTH}" y1="${n(y)}" y2="${n(y)}"/>
<text class="tick" x="${left - 8}" y="${n(y + 4)}" text-anchor="end">${escaped(tick(size))}</text>`;
  });
  const drawn = columns.map(({ label, name, parts }, index) => {
    const x = left + index * slot + (slot - width) / 2;
    let y = base;
    const rectangles = parts.map(({ colour, size }) => {
      const part = size * scale;
      y -= part;
      return part > 0
        ? `<rect class="${colour}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(part)}"/>`
        : "";
    });
    const told = parts.map((part) => `${part.value} ${part.name}`);
    return `<g><title>${escaped(`${name}: ${told.join(", ")}`)}</title>${rectangles.join("")}
<text class="tick" x="${n(Math.min(x + width / 2, WIDTH - label.length * 4))}" y="${height - 8}" text-anchor="middle">${escaped(label)}</text></g>`;
  });
  return `${legend(columns[0]?.parts ?? [])}\n${svg(height, title, [...grid, ...drawn])}`;
}

export interface Bar {
  label: string;
  size: number;
  /** What is written behind it. */
  value: string;
}

/** Bars from left to right, one below the other; where none has a length, a sentence. */
export function bars(title: string, colour: Colour, rows: readonly Bar[], nothing: string): string {
  const [left, right, row, thick] = [160, 210, 34, 20];
  const most = Math.max(0, ...rows.map(({ size }) => size));
  if (most === 0) return `<p>${escaped(nothing)}</p>`;
  const drawn = rows.map(({ label, size, value }, index) => {
    const y = index * row + (row - thick) / 2;
    const length = (size / most) * (WIDTH - left - right);
    return `<text class="label" x="${left - 10}" y="${n(y + 15)}" text-anchor="end">${escaped(label)}</text>
<rect class="${colour}" x="${left}" y="${n(y)}" width="${n(Math.max(length, 1))}" height="${thick}"/>
<text class="value" x="${n(left + Math.max(length, 1) + 8)}" y="${n(y + 15)}">${escaped(value)}</text>`;
  });
  return svg(rows.length * row, title, drawn);
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<div class="wide"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
${parts.join("\n")}
</svg></div>`;
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
