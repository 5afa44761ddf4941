import type { MinorUnits, Timestamp } from "../contract.ts";

/**
 * How many decimals Stripe's amounts carry, and how many of them people expect to read. Taken from
 * https://docs.stripe.com/currencies and not from Intl, whose tables follow other rules and differ between
 * Node and Deno (HUF has none in one and two in the other).
 */
const zeroDecimal = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
const threeDecimal = new Set("bhd jod kwd omr tnd".split(" "));
/**
 * Two decimals in the API, hardly ever any in life. ISK and UGX have none at all and keep theirs for backward
 * compatibility; HUF and TWD may be charged in hundredths but are paid out in whole units.
 */
const wholeInLife = new Set("isk ugx huf twd".split(" "));

/** Decimals in Stripe's integer amounts of a currency (any case): 0, 2 or 3. */
export function minorUnitDigits(currency: string): 0 | 2 | 3 {
  const code = currency.toLowerCase();
  if (zeroDecimal.has(code)) return 0;
  return threeDecimal.has(code) ? 3 : 2;
}

/**
 * An amount as its reader writes it: `4900` of `eur` is "49,00 €" in German. Exact for any size. A code that
 * is no currency's is printed beside the number; an unknown locale is read as English.
 */
export function formatMoney(amount: MinorUnits, currency: string, locale: string): string {
  const digits = minorUnitDigits(currency);
  const units = BigInt(amount);
  const fraction = units % 10n ** BigInt(digits);
  const shown = wholeInLife.has(currency.toLowerCase()) && fraction === 0n ? 0 : digits;
  const decimals = { minimumFractionDigits: shown, maximumFractionDigits: shown };
  const value = decimalString(units, digits);
  const known = knownLocale(locale);
  const code = currency.toUpperCase();
  try {
    return alike(
      new Intl.NumberFormat(known, { style: "currency", currency: code, ...decimals }).format(value),
    );
  } catch {
    return alike(`${new Intl.NumberFormat(known, decimals).format(value)} ${code}`.trim());
  }
}

/** "1,234.5": at most three decimals, as many as there are. */
export function formatNumber(value: number, locale: string): string {
  return alike(new Intl.NumberFormat(knownLocale(locale), { maximumFractionDigits: 3 }).format(value));
}

/** "7.5%" of 7.5; at most four decimals, as tax rates have them. */
export function formatPercent(rate: number, locale: string): string {
  const options = { style: "percent", maximumFractionDigits: 4 } as const;
  return alike(new Intl.NumberFormat(knownLocale(locale), options).format(rate / 100));
}

/** Adds amounts of one currency without losing a unit. */
export function sumOf(amounts: readonly MinorUnits[]): MinorUnits {
  return amounts.reduce((sum: bigint, amount) => sum + BigInt(amount), 0n).toString();
}

/** "November 26, 2026", in the order and the words of the locale; never broken over two lines. */
export function formatDate(at: Timestamp, locale: string, timeZone?: string | null): string {
  return unbroken(dateFormat("long", locale, timeZone).format(moment(at)));
}

/** "Nov 1 – 30, 2026": a period with whatever both ends share said once. */
export function formatPeriod(
  from: Timestamp,
  to: Timestamp,
  locale: string,
  timeZone?: string | null,
): string {
  const [start, end] = [moment(from), moment(to)];
  const format = dateFormat("medium", locale, timeZone);
  const period = end < start ? format.format(start) : format.formatRange(start, end);
  // It may be broken behind its dash only.
  // Node and Deno disagree on the spaces beside it, and several mail clients draw thin ones as boxes.
  return period
    .split(/\s*–\s*/)
    .map(unbroken)
    .join("\u00a0– ");
}

/** "August 2027", for a card that is valid until its end; month from 1 to 12. */
export function formatMonth(year: number, month: number, locale: string): string {
  const options = { year: "numeric", month: "long", calendar: "gregory", timeZone: "UTC" } as const;
  return unbroken(new Intl.DateTimeFormat(knownLocale(locale), options).format(Date.UTC(year, month - 1, 1)));
}

/** Node and Deno carry different tables: Swiss thousands are set apart by a straight mark in one, a curly in the other. */
const alike = (text: string) => text.replaceAll("'", "\u2019");

const unbroken = (text: string) => text.replaceAll(" ", "\u00a0");

/** The moment a timestamp names, or undefined where it names none or leaves the time zone open. */
export function parseTimestamp(at: string): Date | undefined {
  const parts = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)$/i.exec(
    at.trim(),
  );
  if (!parts) return undefined;
  const [, day, time = "", zone = ""] = parts;
  // Postgres leaves the minutes out of a whole-hour offset, which Date does not read.
  const offset = zone.length === 3 ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2").toUpperCase();
  const date = new Date(`${day}T${time.replace(/(\.\d{3})\d+$/, "$1")}${offset}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The locale itself where it is one Intl understands, else English. */
export function knownLocale(locale: string): string {
  try {
    return Intl.NumberFormat.supportedLocalesOf(locale).length > 0 ? locale : "en";
  } catch {
    return "en";
  }
}

function decimalString(units: bigint, digits: number): Intl.StringNumericLiteral {
  const sign = units < 0n ? "-" : "";
  const padded = (units < 0n ? -units : units).toString().padStart(digits + 1, "0");
  const whole = padded.slice(0, padded.length - digits);
  const rest = digits === 0 ? "" : `.${padded.slice(-digits)}`;
  return `${sign}${whole}${rest}` as Intl.StringNumericLiteral;
}

function dateFormat(dateStyle: "long" | "medium", locale: string, timeZone: string | null | undefined) {
  // The calendar of invoices and contracts, also where a locale would count other years (th, fa).
  const options = { dateStyle, calendar: "gregory" } as const;
  try {
    return new Intl.DateTimeFormat(knownLocale(locale), { ...options, timeZone: timeZone || "UTC" });
  } catch {
    return new Intl.DateTimeFormat(knownLocale(locale), { ...options, timeZone: "UTC" });
  }
}

function moment(at: Timestamp): Date {
  const date = parseTimestamp(at);
  if (!date) throw new RangeError(`"${at}" is not a timestamp with a time zone`);
  return date;
}
