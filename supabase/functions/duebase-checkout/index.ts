import { createAddressReader } from "../_duebase/app-addresses.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readSessionEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { connectOwners } from "../_duebase/managed-owners.ts";
import { namingRelease } from "../_duebase/release.ts";
import { connectAuth } from "../_duebase/signed-in-user.ts";
import { connectStripe } from "../_duebase/stripe.ts";
import { SESSION_TIMEOUT_MS } from "../_duebase/stripe-session.ts";
import type { Verdict } from "./attempts.ts";
import { type CheckoutFacts, createCheckoutHandler } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readSessionEnvironment((name) => Deno.env.get(name));
const { supabaseUrl: url, secretKey, projectRef, stripeSecretKey, stripeUrl: baseUrl } = environment;
const callBilling = connectDatabase({ url, secretKey, projectRef });

const handler = createCheckoutHandler({
  readAddresses: createAddressReader(callBilling),
  verifyUser: connectAuth({ url, secretKey }),
  readManagedOwners: connectOwners({ url, secretKey, projectRef }),
  prepare: async (p_owner_id, p_price) =>
    (await callBilling("prepare_checkout", JSON.stringify({ p_owner_id, p_price }))) as CheckoutFacts,
  callStripe: connectStripe({ secretKey: stripeSecretKey, baseUrl, timeoutMs: SESSION_TIMEOUT_MS }),
  begin: async ({ ownerId, userId, scope, wish, request, key }) =>
    (await callBilling(
      "begin_checkout",
      JSON.stringify({
        p_owner_id: ownerId,
        p_user_id: userId,
        p_scope: scope,
        p_wish: wish,
        p_request: request,
        p_key: key,
      }),
    )) as Verdict,
  record: async (p_attempt, p_session, p_url, expiresAt) =>
    (await callBilling(
      "record_checkout",
      JSON.stringify({
        p_attempt,
        p_session,
        p_url,
        p_expires_at: new Date(expiresAt * 1000).toISOString(),
      }),
    )) === true,
  close: async (p_attempt, p_status) => {
    await callBilling("close_checkout", JSON.stringify({ p_attempt, p_status }));
  },
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  log: createLogger("duebase-checkout"),
});

Deno.serve(namingRelease(handler));
