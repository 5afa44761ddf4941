import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { connectStripe, modeOfKey, type StripeAnswer } from "../../../supabase/functions/_duebase/stripe.ts";
import { type Finding, mayBeWrong, wrong } from "./check.ts";

/** Reads at Stripe with the operator's own key; it writes nothing. */
export interface ReadStripe {
  /** The mode that the key's prefix tells. */
  mode: "live" | "test" | undefined;
  get(path: string, params?: Record<string, string>, account?: string | null): Promise<StripeAnswer>;
}

/** Where keys are made and changed. */
export const KEYS_PAGE = "https://dashboard.stripe.com/apikeys";

/** @param baseUrl Stripe's own unless a local server stands in for it */
export function readStripe(secretKey: string, baseUrl?: string): ReadStripe {
  const call = connectStripe({ secretKey, baseUrl, timeoutMs: 8_000 });
  return {
    mode: modeOfKey(secretKey),
    get: (path, params = {}, account) => call({ method: "GET", path, params, account: account ?? undefined }),
  };
}

/** For a check that needs a key and got none. */
export const withoutStripeKey = (what: string): Finding =>
  mayBeWrong(
    `${what} was not looked at: this command has no Stripe key`,
    "give DUEBASE_STRIPE_SECRET_KEY (a key that may read is enough)",
  );

/**
 * What a refusal of Stripe's means: a key that may not look is amber and names the permission; anything else is not
 * right.
 *
 * @param permission in the words of Stripe's dashboard
 */
export function refusalOfStripe(error: unknown, what: string, permission: string): Finding {
  if (!(error instanceof StripeCallError)) throw error;
  if (error.status === 403) {
    const named = /'(rak_\w+)'/.exec(error.message)?.[1];
    return mayBeWrong(
      `${what} was not looked at: the key may not`,
      `give the key the permission ${permission}: Read${named ? ` (${named})` : ""} at ${KEYS_PAGE}`,
    );
  }
  if (error.status === 401) {
    return wrong(
      "Stripe does not take the key of this command",
      `take a key of this account from ${KEYS_PAGE}`,
    );
  }
  return mayBeWrong(
    `${what} was not looked at: Stripe answered ${error.status ?? "nothing"} (${error.code})`,
    "try again",
  );
}
