import { readSetting } from "../../../supabase/functions/_duebase/env.ts";
import { type CallStripe, connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { Refusal } from "../terminal.ts";

const NAME = "DUEBASE_STRIPE_SECRET_KEY";

/** Stripe, as the environment names it. */
export interface NamedStripe {
  secretKey: string;
  call: CallStripe;
}

/**
 * Stripe by the key in DUEBASE_STRIPE_SECRET_KEY, else under its common name; at DUEBASE_STRIPE_API_URL, where that is set.
 *
 * @throws Refusal where there is no key
 */
export function stripeFromEnvironment(env = process.env): NamedStripe {
  const secretKey = readSetting((variable) => env[variable], NAME);
  if (secretKey === undefined) {
    throw new Refusal(
      `There is no Stripe key: ${NAME} is not set.`,
      `Set ${NAME} to a secret key, or to a restricted key that may read what docs/moving-in.md lists.`,
    );
  }
  return { secretKey, call: connectStripe({ secretKey, baseUrl: env.DUEBASE_STRIPE_API_URL }) };
}
