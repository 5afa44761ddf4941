import { createAddressReader } from "../_duebase/app-addresses.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readSessionEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { connectOwners } from "../_duebase/managed-owners.ts";
import { namingRelease } from "../_duebase/release.ts";
import { connectAuth } from "../_duebase/signed-in-user.ts";
import { connectStripe } from "../_duebase/stripe.ts";
import { SESSION_TIMEOUT_MS } from "../_duebase/stripe-session.ts";
import { createPortalHandler, type PortalCustomer } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readSessionEnvironment((name) => Deno.env.get(name));
const { supabaseUrl: url, secretKey, projectRef, stripeSecretKey, stripeUrl: baseUrl } = environment;
const callBilling = connectDatabase({ url, secretKey, projectRef });

const handler = createPortalHandler({
  readAddresses: createAddressReader(callBilling),
  verifyUser: connectAuth({ url, secretKey }),
  readManagedOwners: connectOwners({ url, secretKey, projectRef }),
  findCustomer: async (p_owner_id, p_subscription) =>
    (await callBilling(
      "find_portal_customer",
      JSON.stringify({ p_owner_id, p_subscription }),
    )) as PortalCustomer,
  callStripe: connectStripe({ secretKey: stripeSecretKey, baseUrl, timeoutMs: SESSION_TIMEOUT_MS }),
  log: createLogger("duebase-portal"),
});

Deno.serve(namingRelease(handler));
