import { minorUnitDigits } from "../../../../emails/rendering/format.ts";

const formats = new Map<string, Intl.NumberFormat>();

/**
 * An amount as people write it: `$20.00`, `¥500`.
 * @param amount in the currency's smallest unit
 */
export function money(amount: number, currency: string): string {
  const digits = minorUnitDigits(currency);
  // A format is slow to make, so each is made once.
  const format =
    formats.get(currency) ??
    new Intl.NumberFormat("en-US", {
      style: "currency",
      currency,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  formats.set(currency, format);
  return format.format(amount / 10 ** digits);
}
