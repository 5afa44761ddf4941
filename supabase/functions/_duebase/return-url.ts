import { SessionRefusedError, UpstreamMisconfiguredError } from "./errors.ts";

/** Where the application is: `app_url` and `billing_url` of billing.settings. */
export type AppAddresses = { app_url: string; billing_url: string | null };

/** Stripe takes 5,000 characters; browsers and proxies begin to cut at half of that. */
const MAX_URL_LENGTH = 2_048;

/** The browser drops or rewrites these characters, and so would go to another address than the one that was checked. */
const TREACHEROUS = /[\s\\\p{Cc}]/u;

/**
 * The origins of the application: of `app_url` and `billing_url`, as far as they are https (or http on this very
 * machine). The first is where relative paths lead.
 *
 * @throws UpstreamMisconfiguredError when there is none.
 */
export function appOrigins({ app_url, billing_url }: AppAddresses): [string, ...string[]] {
  const origins = [billing_url, app_url].flatMap((address) => {
    const url = address === null ? null : parse(address);
    return url !== null && isConfidential(url) ? [url.origin] : [];
  });
  const [first, ...others] = new Set(origins);
  if (first !== undefined) return [first, ...others];
  const reason = "Neither app_url nor billing_url in billing.settings is an https address.";
  throw new UpstreamMisconfiguredError("settings", { reason });
}

/** Where the user goes back to if the request names no address. */
export function homeOf(addresses: AppAddresses): string {
  const [origin] = appOrigins(addresses);
  const home = parse(addresses.billing_url ?? addresses.app_url);
  return home?.origin === origin ? home.href : origin;
}

/**
 * An address that Stripe's page may send its user back to: a path (`/account`) or a whole address, in either case
 * with an origin of the application's and nothing in it that browsers read differently. Anything else would make us
 * a redirector to wherever an attacker likes.
 *
 * @param field its name in the request, for the message
 * @returns the address as it was understood, never as it was sent
 * @throws SessionRefusedError invalid_url
 */
export function safeReturnUrl(value: unknown, field: string, addresses: AppAddresses): string {
  const origins = appOrigins(addresses);
  const refused = new SessionRefusedError(
    "invalid_url",
    400,
    `"${field}" has to be a path, or an https address of the application.`,
  );
  if (typeof value !== "string" || value.length > MAX_URL_LENGTH || TREACHEROUS.test(value)) throw refused;
  const isPath = value.startsWith("/") && !value.startsWith("//");
  if (!isPath && !/^https?:\/\//i.test(value)) throw refused;
  const url = parse(value, isPath ? origins[0] : undefined);
  if (url === null || url.username !== "" || url.password !== "" || !origins.includes(url.origin))
    throw refused;
  return url.href;
}

function parse(address: string, base?: string): URL | null {
  return URL.canParse(address, base) ? new URL(address, base) : null;
}

function isConfidential({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  const isHere = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  return protocol === "http:" && isHere;
}
