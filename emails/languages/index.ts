import { de } from "./de.ts";
import { en, type Language } from "./en.ts";

export type { Language } from "./en.ts";

/** The languages emails are written in. To add one, write it beside these and name it here. */
export const languages: readonly Language[] = [en, de];

/**
 * The locale an email is written in: the first of the customer's locales whose language we have, with their
 * region kept for dates and amounts ("de-AT"); English where we have none of them.
 */
export function chooseLocale(preferred: readonly string[] | null | undefined): string {
  for (const tag of preferred ?? []) {
    const locale = canonical(tag);
    if (locale && spoken(locale)) return locale;
  }
  return en.code;
}

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
