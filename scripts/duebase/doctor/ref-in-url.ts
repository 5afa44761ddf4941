/**
 * The project that an address of Supabase's names.
 *
 * @param url of an API or of functions
 * @returns undefined where it names none, as with a domain of one's own
 */
export function refInUrl(url: string): string | undefined {
  const host = URL.canParse(url) ? new URL(url).hostname : "";
  return /^([a-z]{20})\.(?:functions\.)?supabase\.(?:co|in|net)$/.exec(host)?.[1];
}
