import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import {
  formatDate,
  formatMoney,
  formatMonth,
  formatNumber,
  formatPercent,
  formatPeriod,
} from "../../../emails/rendering/format.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const formats = pathToFileURL(join(root, "emails", "rendering", "format.ts")).href;

const locales = "en en-001 en-GB en-IN en-CH de de-AT de-CH de-LI fr-CH it-CH".split(" ");
/** Those of which the tables of the two differ in how many decimals they have, and some of which they do not. */
const currencies = "cop idr pkr rsd huf isk lak lbp mmk all chf eur usd jpy kwd".split(" ");
const day = "2026-11-01T09:00:00Z";
const later = "2026-11-30T09:00:00Z";

test("Deno, which sends the mails, and Node, which shows them, format every amount, number and date alike", {
  timeout: 60_000,
}, async () => {
  const expected = locales.flatMap((locale) => [
    ...currencies.flatMap((currency) =>
      [-123_456_789, 4900].map((amount) => formatMoney(amount, currency, locale)),
    ),
    formatNumber(1234567.5, locale),
    formatPercent(7.725, locale),
    formatDate(day, locale),
    formatMonth(2027, 8, locale),
    formatPeriod(day, later, locale),
  ]);
  expect(formatMoney(123_456_700, "chf", "de-CH").replaceAll("\u00a0", " ")).toBe("CHF 1’234’567.00");
  expect(formatMoney(4900, "cop", "en").replaceAll("\u00a0", " ")).toBe("COP 49.00");

  const folder = await mkdtemp(join(tmpdir(), "duebase-formats-"));
  try {
    const script = join(folder, "formats.mjs");
    await writeFile(
      script,
      `import * as f from ${JSON.stringify(formats)};
const [locales, currencies, day, later] = ${JSON.stringify([locales, currencies, day, later])};
console.log(JSON.stringify(locales.flatMap((locale) => [
  ...currencies.flatMap((currency) => [-123456789, 4900].map((amount) => f.formatMoney(amount, currency, locale))),
  f.formatNumber(1234567.5, locale), f.formatPercent(7.725, locale), f.formatDate(day, locale),
  f.formatMonth(2027, 8, locale), f.formatPeriod(day, later, locale),
])));`,
    );
    const deno = join(root, "node_modules", ".bin", "deno");
    const { stdout } = await promisify(execFile)(deno, ["run", "--no-lock", "--quiet", script], {
      cwd: folder,
    });
    expect(JSON.parse(stdout)).toEqual(expected);
  } finally {
    await rm(folder, { recursive: true });
  }
});
