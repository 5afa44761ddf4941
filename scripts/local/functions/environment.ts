import { COMMON_NAMES } from "../../../supabase/functions/_duebase/env.ts";
import { localKeys } from "../keys.ts";
import type { StackStatus } from "../status.ts";
import { functionSecrets } from "./project.ts";

/**
 * The environment of a function: the names the platform sets by itself, the project's own secrets with the values
 * they have locally, and over all that what the developer keeps in supabase/functions/.env.
 */
export function functionEnvironment(
  status: StackStatus,
  resendUrl: string,
  projectDirectory: string,
): Record<string, string> {
  const { API_URL, DB_URL, PUBLISHABLE_KEY, SECRET_KEY } = status;
  const secrets = Object.fromEntries(
    Object.entries(functionSecrets(projectDirectory)).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
  const ours = {
    DUEBASE_STRIPE_WEBHOOK_SECRET: status.STRIPE_WEBHOOK_SECRET,
    DUEBASE_STRIPE_SECRET_KEY: localKeys.stripeSecretKey,
    DUEBASE_STRIPE_API_URL: status.STRIPE_API_URL,
    DUEBASE_RESEND_API_KEY: localKeys.resendApiKey,
    DUEBASE_RESEND_BASE_URL: resendUrl,
    DUEBASE_RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret,
    DUEBASE_CRON_SECRET: localKeys.cronSecret,
    DUEBASE_HEALTH_SECRET: localKeys.healthSecret,
    DUEBASE_LOCAL_STACK: "1",
  };
  return {
    SUPABASE_URL: API_URL,
    SUPABASE_DB_URL: DB_URL,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: PUBLISHABLE_KEY }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    // The older names, for code that has not moved on; they hold the same keys here.
    SUPABASE_ANON_KEY: PUBLISHABLE_KEY,
    SUPABASE_SERVICE_ROLE_KEY: SECRET_KEY,
    // A value of ours would hide the developer's, where they keep it under the common name.
    ...Object.fromEntries(
      Object.entries(ours).filter(([name]) => secrets[COMMON_NAMES[name] ?? name] === undefined),
    ),
    ...secrets,
  };
}
