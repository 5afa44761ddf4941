import type { Address, Party } from "../contract.ts";

/** Where the city is written before the postal code; elsewhere it is "1010 Wien". */
const cityFirst = new Set(["US", "CA", "AU", "NZ", "GB", "IE", "IN", "ZA", "SG", "HK", "PH", "NG", "KE"]);

/**
 * Somebody on an invoice, a line each for name, address and tax ids. `taxId` writes one of these.
 * Undefined where nothing is known.
 */
export function partyLines(
  party: Party | null | undefined,
  locale: string,
  taxId: (kind: "vat" | "other", value: string) => string,
): readonly string[] | undefined {
  const lines = [
    party?.name,
    ...addressLines(party?.address, locale),
    ...(party?.taxIds ?? []).map(({ type, value }) => taxId(type.endsWith("_vat") ? "vat" : "other", value)),
  ].filter((line): line is string => typeof line === "string" && line !== "");
  return lines.length > 0 ? lines : undefined;
}

/** An address as on an envelope, the country last and in the language of the locale. */
function addressLines(address: Address | null | undefined, locale: string): (string | undefined)[] {
  if (!address) return [];
  const { line1, line2, city, postalCode, state, country } = address;
  const spaced = (...parts: (string | null | undefined)[]) => parts.filter(Boolean).join(" ");
  const within = (place: string) => [place, state].filter(Boolean).join(", ");
  const place = cityFirst.has(country ?? "")
    ? spaced(within(city ?? ""), postalCode)
    : within(spaced(postalCode, city));
  return [line1 ?? undefined, line2 ?? undefined, place, country ? countryName(country, locale) : undefined];
}

function countryName(country: string, locale: string): string {
  return new Intl.DisplayNames([locale, "en"], { type: "region" }).of(country) ?? country;
}
