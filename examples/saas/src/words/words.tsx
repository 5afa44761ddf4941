import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { type Language, languageOf } from "../../../../emails/languages/index.ts";
import { formatDate, formatMoney, formatMonth, formatPeriod } from "../../../../emails/rendering/format.ts";
import { de } from "./de.ts";
import { en, type Words } from "./en.ts";

const languages: Record<string, Words> = { en, de };
const KEPT = "example:language";

export interface Speech {
  /** What pages say. */
  words: Words;
  /** What the mails say: the same sentences, from the same place. */
  mails: Language;
  language: string;
  choose(language: string): void;
  /** Minor units of a currency, as people write it. */
  money(amount: number, currency: string): string;
  /** A day; a dash where there is none. */
  date(at: string): string;
  period(from: string, to: string): string;
  month(year: number, month: number): string;
}

const Context = createContext<Speech | undefined>(undefined);

/** The language that was chosen here, else the browser's, else English. */
function firstLanguage(): string {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((it) => it.slice(0, 2));
  return wanted.find((it) => it in languages) ?? "en";
}

/** The browser's own region, where it speaks the language. */
const localeFor = (language: string): string =>
  navigator.languages.find((it) => it.startsWith(language)) ?? language;

export function WordsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(firstLanguage);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const speech = useMemo<Speech>(() => {
    const locale = localeFor(language);
    return {
      words: languages[language] ?? en,
      mails: languageOf(language),
      language,
      choose(next) {
        localStorage.setItem(KEPT, next);
        setLanguage(next);
      },
      money: (amount, currency) => formatMoney(amount, currency, locale),
      date: (at) => (Number.isNaN(Date.parse(at)) ? "–" : formatDate(isoOf(at), locale)),
      period: (from, to) => formatPeriod(isoOf(from), isoOf(to), locale),
      month: (year, month) => formatMonth(year, month, locale),
    };
  }, [language]);
  return <Context.Provider value={speech}>{children}</Context.Provider>;
}

/** Timestamps come as PostgreSQL or as ISO writes them. */
const isoOf = (at: string): string => new Date(at).toISOString();

export function useWords(): Speech {
  const speech = useContext(Context);
  if (!speech) throw new Error("useWords outside of WordsProvider");
  return speech;
}
