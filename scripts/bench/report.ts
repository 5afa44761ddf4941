import Table from "cli-table3";
import pc from "picocolors";

/** One measured figure, and how it compares with what was promised of it. */
export type BenchRow = {
  name: string;
  value: number;
  unit: string;
  /** Against the yardstick named in `target`. */
  ratio?: number;
  target?: string;
  met?: boolean;
};

/** The rows as a table for the terminal; a missed target is marked. */
export function benchTable(rows: BenchRow[]): string {
  const table = new Table({
    head: ["what", "value", "ratio", "target", ""],
    colAligns: ["left", "right", "right", "left", "left"],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    table.push([
      row.name,
      `${number(row.value)} ${row.unit}`,
      row.ratio === undefined ? "" : row.ratio.toFixed(2),
      row.target ?? "",
      row.met === undefined ? "" : row.met ? pc.green("met") : pc.red("missed"),
    ]);
  }
  return table.toString();
}

function number(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}

/** The value below which the given share (0 to 1) of the samples lies. */
export function percentile(samples: number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
