import { createAddressReader } from "../_shared/app-addresses.ts";
import { connectDatabase } from "../_shared/database.ts";
import { readSessionEnvironment } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { connectAuth } from "../_shared/signed-in-user.ts";
import { connectStripe } from "../_shared/stripe.ts";
import { SESSION_TIMEOUT_MS } from "../_shared/stripe-session.ts";
import { type CheckoutFacts, createCheckoutHandler } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readSessionEnvironment((name) => Deno.env.get(name));
const { supabaseUrl: url, secretKey, stripeSecretKey, stripeUrl: baseUrl } = environment;
const callBilling = connectDatabase({ url, secretKey });

const handler = createCheckoutHandler({
  readAddresses: createAddressReader(callBilling),
  verifyUser: connectAuth({ url, secretKey }),
  prepare: async (p_user_id, p_price) =>
    (await callBilling("prepare_checkout", JSON.stringify({ p_user_id, p_price }))) as CheckoutFacts,
  callStripe: connectStripe({ secretKey: stripeSecretKey, baseUrl, timeoutMs: SESSION_TIMEOUT_MS }),
  log: createLogger("checkout"),
  now: Date.now,
});

Deno.serve(handler);
