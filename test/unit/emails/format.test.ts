import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatDate,
  formatMoney,
  formatMonth,
  formatPeriod,
  minorUnitDigits,
  parseTimestamp,
  sumOf,
} from "../../../emails/rendering/format.ts";
import "../../support/seeded-properties.ts";

/** Locales set no-break spaces of several kinds; to a reader they are spaces. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ").replace(/[\u200e\u200f\u061c]/g, "");

describe("money", () => {
  test.each([
    [4900, "usd", "en", "$49.00"],
    [4900, "USD", "en-US", "$49.00"],
    [4900, "eur", "en", "€49.00"],
    [4900, "eur", "de", "49,00 €"],
    [123456789, "eur", "de-AT", "€ 1.234.567,89"],
    [4900, "eur", "ja", "€49.00"],
    [4900, "cad", "en", "CA$49.00"],
    [5, "usd", "en", "$0.05"],
    [-1560, "usd", "en", "-$15.60"],
    [0, "usd", "en", "$0.00"],
    // Zero-decimal: the amount is the number of yen.
    [4900, "jpy", "en", "¥4,900"],
    [4900, "jpy", "ja", "￥4,900"],
    [4900, "jpy", "de", "4.900 ¥"],
    [4900, "krw", "en", "₩4,900"],
    [4900, "clp", "en", "CLP 4,900"],
    // Three decimals.
    [4900, "kwd", "en", "KWD 4.900"],
    [1234560, "kwd", "de", "1.234,560 KWD"],
    [4900, "bhd", "en", "BHD 4.900"],
    // Two decimals at Stripe, none in life.
    [500, "isk", "en", "ISK 5"],
    [490000, "isk", "de", "4.900 ISK"],
    [500, "ugx", "en", "UGX 5"],
    [199000, "huf", "en", "HUF 1,990"],
    [199050, "huf", "en", "HUF 1,990.50"],
    [80000, "twd", "en", "NT$800"],
    [80045, "twd", "en", "NT$800.45"],
    // Bigger than a number can tell apart, as the database's bigint may be.
    ["9223372036854775807", "usd", "en", "$92,233,720,368,547,758.07"],
    // Unknown things are still readable.
    [4900, "zzz", "en", "ZZZ 49.00"],
    [4900, "", "en", "49.00"],
    [4900, "euro", "en", "49.00 EURO"],
    [4900, "usd", "xx-unknown", "$49.00"],
    [4900, "usd", "not a locale", "$49.00"],
  ])("%s of %s in %s is %s", (amount, currency, locale, expected) => {
    expect(plain(formatMoney(amount, currency, locale))).toBe(expected);
  });

  test("keeps value and currency in Arabic, in whichever digits the locale has", () => {
    const digits = (text: string) =>
      text.replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660)).replace(/\D/g, "");
    expect(digits(formatMoney(4900, "usd", "ar"))).toBe("4900");
    expect(digits(formatMoney(4900, "kwd", "ar-KW"))).toBe("4900");
    expect(digits(formatMoney(4900, "jpy", "ar-EG"))).toBe("4900");
    expect(formatMoney(4900, "kwd", "ar-KW")).toContain("د.ك");
  });

  test("follows Stripe's list of decimals", () => {
    const zero = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" ");
    const three = "bhd jod kwd omr tnd".split(" ");
    for (const currency of zero) expect(minorUnitDigits(currency), currency).toBe(0);
    for (const currency of three) expect(minorUnitDigits(currency), currency).toBe(3);
    for (const currency of ["usd", "eur", "isk", "ugx", "huf", "twd", "cop", "idr"]) {
      expect(minorUnitDigits(currency), currency).toBe(2);
    }
  });

  test("loses no unit of any amount in any currency", () => {
    const currencies = fc.constantFrom("usd", "eur", "jpy", "kwd", "isk", "huf", "zzz");
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), currencies, (amount, currency) => {
        const shown = formatMoney(amount.toString(), currency, "en");
        const digits = shown.replace(/[^0-9.]/g, "");
        const decimals = minorUnitDigits(currency);
        const [whole = "", fraction = ""] = digits.split(".");
        const value = BigInt(whole + fraction.padEnd(decimals, "0"));
        expect(shown.includes("-") ? -value : value).toBe(amount);
      }),
    );
  });

  test("adds without rounding", () => {
    expect(sumOf(["9007199254740993", 1, "-2"])).toBe("9007199254740992");
    expect(sumOf([])).toBe("0");
  });
});

describe("dates", () => {
  const at = "2026-11-26T23:30:00Z";

  test.each([
    ["en", undefined, "November 26, 2026"],
    ["en-GB", undefined, "26 November 2026"],
    ["de", undefined, "26. November 2026"],
    ["ja", undefined, "2026年11月26日"],
    // The day is the customer's only where the brand says so; at this hour it is tomorrow in Berlin.
    ["en", "Europe/Berlin", "November 27, 2026"],
    ["en", "America/Los_Angeles", "November 26, 2026"],
    ["en", "Mars/Olympus", "November 26, 2026"],
    ["xx-unknown", undefined, "November 26, 2026"],
  ])("are written as %s in time zone %s", (locale, timeZone, expected) => {
    const date = formatDate(at, locale, timeZone);
    expect(plain(date)).toBe(expected);
    // A date that is broken over two lines is read twice.
    expect(date).not.toContain(" ");
  });

  test("stay in the calendar of invoices where a locale has another", () => {
    expect(formatDate(at, "th")).toContain("2026");
    expect(formatDate(at, "ar-SA")).toMatch(/2026|٢٠٢٦/);
  });

  test("of a period share what they have in common", () => {
    const period = formatPeriod("2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z", "en");
    expect(plain(period)).toBe("Nov 1 – 30, 2026");
    expect(period.split(" ")).toHaveLength(2);
    expect(plain(formatPeriod("2026-12-23T00:00:00Z", "2027-01-23T00:00:00Z", "de"))).toBe(
      "23.12.2026 – 23.01.2027",
    );
  });

  test("of a period that ends before it begins do not fail", () => {
    expect(plain(formatPeriod("2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z", "en"))).toBe("Dec 1, 2026");
  });

  test("of a card are a month", () => {
    expect(plain(formatMonth(2027, 8, "en"))).toBe("August 2027");
    expect(plain(formatMonth(2027, 12, "de"))).toBe("Dezember 2027");
  });
});

describe("timestamps", () => {
  test.each([
    ["2026-11-23T09:00:00Z", "2026-11-23T09:00:00.000Z"],
    ["2026-11-23T09:00:00.123456+00:00", "2026-11-23T09:00:00.123Z"],
    ["2026-11-23 09:00:00+00", "2026-11-23T09:00:00.000Z"],
    ["2026-11-23 09:00:00.5-03:30", "2026-11-23T12:30:00.500Z"],
    ["2026-11-23 14:30:00+0530", "2026-11-23T09:00:00.000Z"],
  ])("%s is understood", (given, expected) => {
    expect(parseTimestamp(given)?.toISOString()).toBe(expected);
  });

  test.each([
    "2026-11-23T09:00:00",
    "2026-11-23",
    "1700000000",
    "tomorrow",
    "",
    "2026-13-40T99:00:00Z",
    "infinity",
  ])("%s is refused", (given) => {
    expect(parseTimestamp(given)).toBeUndefined();
  });
});
