import { languages } from "./all.gen.ts";
import { en, type Language } from "./en.ts";

/** The languages emails are written in: every file here that is named for one. */
export { languages } from "./all.gen.ts";
export type { Language } from "./en.ts";

/**
 * The locale an email is written in: the first of the customer's locales whose language we have, with their region
 * kept for dates and amounts ("de-AT"). One without a region takes that of the project's locale, if the language is the
 * same. The project's locale where we have none of theirs; if that is American English, without American dates.
 */
export function chooseLocale(
  preferred: readonly string[] | null | undefined,
  projects?: string | null,
): string {
  const own = canonical(projects ?? "");
  const fallback = own && spoken(own) ? own : en.code;
  const locales = (preferred ?? []).flatMap((tag) => canonical(tag) ?? []);
  const found = locales.find(spoken);
  if (found) {
    const isBare = !found.includes("-");
    return isBare && new Intl.Locale(fallback).language === found ? fallback : found;
  }
  const isForeign = locales.some((tag) => new Intl.Locale(tag).region !== "US");
  return isForeign && american.has(fallback) ? worldEnglish : fallback;
}

/** English that says November 26. Stripe's "en" is it as well: its other Englishes have a region. */
const american = new Set(["en", "en-US"]);
/** English of no country: 26 November. */
const worldEnglish = "en-001";

/** The language a locale returned by `chooseLocale` is written in. */
export function languageOf(locale: string): Language {
  return spoken(locale) ?? en;
}

/** A language of the whole tag goes before one of its beginning: pt-BR before pt. */
function spoken(locale: string): Language | undefined {
  const parts = locale.split("-");
  for (let length = parts.length; length > 0; length--) {
    const code = parts.slice(0, length).join("-");
    const found = languages.find((language) => language.code === code);
    if (found) return found;
  }
  return undefined;
}

function canonical(tag: string): string | undefined {
  try {
    // Applications are known to store POSIX spellings such as de_DE in Stripe. Extensions (-u-ca-buddhist) go.
    return new Intl.Locale(tag.replaceAll("_", "-")).baseName;
  } catch {
    return undefined;
  }
}
