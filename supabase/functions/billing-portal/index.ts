import { createAddressReader } from "../_shared/app-addresses.ts";
import { connectDatabase } from "../_shared/database.ts";
import { readSessionEnvironment } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { connectAuth } from "../_shared/signed-in-user.ts";
import { connectStripe } from "../_shared/stripe.ts";
import { SESSION_TIMEOUT_MS } from "../_shared/stripe-session.ts";
import { createBillingPortalHandler, type PortalCustomer } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readSessionEnvironment((name) => Deno.env.get(name));
const { supabaseUrl: url, secretKey, stripeSecretKey, stripeUrl: baseUrl } = environment;
const callBilling = connectDatabase({ url, secretKey });

const handler = createBillingPortalHandler({
  readAddresses: createAddressReader(callBilling),
  verifyUser: connectAuth({ url, secretKey }),
  findCustomer: async (p_user_id, p_subscription) =>
    (await callBilling(
      "find_portal_customer",
      JSON.stringify({ p_user_id, p_subscription }),
    )) as PortalCustomer,
  callStripe: connectStripe({ secretKey: stripeSecretKey, baseUrl, timeoutMs: SESSION_TIMEOUT_MS }),
  log: createLogger("billing-portal"),
});

Deno.serve(handler);
