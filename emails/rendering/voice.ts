import type { Brand, MinorUnits, Party, PaymentMethod, Price, Timestamp } from "../contract.ts";
import { type Language, languageOf } from "../languages/index.ts";
import {
  formatDate,
  formatMoney,
  formatMonth,
  formatNumber,
  formatPercent,
  formatPeriod,
  parseTimestamp,
} from "./format.ts";
import { partyLines } from "./parties.ts";
import { describeMethod } from "./payment-method.ts";

/** Who speaks, and to whom: handed to every template beside its own props. */
export interface Setting {
  brand: Brand;
  /** As `chooseLocale` returns it. */
  locale: string;
}

/** What a template receives: its own props, and the setting. */
export type Addressed<Props> = Props & Setting;

/** A language with its formats, ready to write an email. */
export interface Voice {
  words: Language;
  money(amount: MinorUnits, currency: string): string;
  date(at: Timestamp): string;
  /** The day in UTC, whatever the project’s time zone; so many days before it with `daysBefore`. */
  utcDay(at: Timestamp, daysBefore?: number): string;
  period(from: Timestamp, to: Timestamp): string;
  /** The month a card is valid to the end of. */
  month(card: { expMonth: number; expYear: number }): string;
  number(value: number): string;
  /** A rate in percent: 7.5 is "7.5%". */
  percent(rate: number): string;
  price(price: Price): string;
  /** A payment method within a sentence; undefined where there is none to name. */
  method(method: PaymentMethod | null | undefined): string | undefined;
  /** A payment method by itself; undefined where it could only be called a payment method. */
  methodLabel(method: PaymentMethod | null | undefined): string | undefined;
  /** Whether a payment method is a card, or not known. */
  mayBeCard(method: PaymentMethod | null | undefined): boolean;
  greeting(name: string | null | undefined): string;
  /** Somebody on an invoice, a line each for name, address and tax ids; undefined where nothing is known. */
  party(party: Party | null | undefined): readonly string[] | undefined;
  /** The product's name, or the application's where the product has none. */
  product(name: string | null | undefined): string;
  /** The application's billing page, or its front page. */
  billingUrl: string;
}

function before(at: Timestamp, days: number): Timestamp {
  const date = parseTimestamp(at);
  if (!date) throw new RangeError(`"${at}" is not a timestamp with a time zone`);
  return new Date(date.getTime() - days * 86_400_000).toISOString();
}

/** The voice in which an email is written: language and formats of the locale, names of the brand. */
export function speak({ brand, locale }: Setting): Voice {
  const words = languageOf(locale);
  const money = (amount: MinorUnits, currency: string) => formatMoney(amount, currency, locale);
  return {
    words,
    money,
    date: (at) => formatDate(at, locale, brand.timeZone),
    utcDay: (at, daysBefore = 0) => formatDate(before(at, daysBefore), locale, "UTC"),
    period: (from, to) => formatPeriod(from, to, locale, brand.timeZone),
    month: (card) => formatMonth(card.expYear, card.expMonth, locale),
    number: (value) => formatNumber(value, locale),
    percent: (rate) => formatPercent(rate, locale),
    price: ({ amount, currency, interval, intervalCount, plusTax }) => {
      const price = words.common.price({ amount: money(amount, currency), interval, count: intervalCount });
      return plusTax ? words.common.plusTax(price) : price;
    },
    method: (method) => (method ? words.common.method(describeMethod(method)) : undefined),
    methodLabel: (method) => {
      const described = method && describeMethod(method);
      if (!described || (described.kind === "other" && !described.name && !described.last4)) return undefined;
      return words.common.methodLabel(described);
    },
    mayBeCard: (method) => !method || describeMethod(method).kind === "card",
    greeting: (name) => words.common.greeting(name || undefined),
    party: (party) => partyLines(party, locale, words.common.taxId),
    product: (name) => name || brand.appName,
    billingUrl: brand.billingUrl ?? brand.appUrl,
  };
}
