import { minorUnitDigits } from "../../emails/rendering/format.ts";
import { money } from "../demo/format.ts";

/** An amount in minor units of a currency that may be unknown. */
export function amountIn(amount: bigint | number, currency: string): string {
  return /^[a-z]{3}$/i.test(currency) ? money(amount, currency) : String(amount);
}

/** The same without cents, for the ends of axes: `$1.2K`. */
export function roughly(amount: number, currency: string): string {
  if (!/^[a-z]{3}$/i.test(currency)) return String(amount);
  return new Intl.NumberFormat("en-US", {
    style: "currency",
    currency,
    notation: "compact",
    maximumSignificantDigits: 3,
  }).format(amount / 10 ** minorUnitDigits(currency));
}

/** `2026-11-01` as `Nov 2026`, or as `Nov` where the year is known. */
export function monthName(month: string, withYear = true): string {
  const year = withYear ? "numeric" : undefined;
  return new Date(`${month}T00:00:00Z`).toLocaleDateString("en-US", {
    month: "short",
    year,
    timeZone: "UTC",
  });
}

/** 0 to 1 as a percentage; a dash for none. */
export function percent(share: number | null): string {
  return share === null ? "–" : `${Math.round(share * 1000) / 10}%`;
}

/** Days with a decimal; a dash for none. */
export function days(count: number | null): string {
  return count === null ? "–" : count.toFixed(1);
}

/** A name of a currency as people write it. */
export function currencyName(currency: string): string {
  return currency === "" ? "no currency" : currency.toUpperCase();
}

/** A time to the minute, UTC. */
export function moment(at: Date | null): string {
  return at === null ? "–" : at.toISOString().slice(0, 16).replace("T", " ");
}

/** A date, UTC. */
export function day(at: Date | null): string {
  return at === null ? "–" : at.toISOString().slice(0, 10);
}

/** Text somebody else wrote, without what would steer the terminal. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
