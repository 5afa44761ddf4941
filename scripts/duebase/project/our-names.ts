// The names of ours that lie outside of our two schemas and our files. `connect` and the database make them, `init` looks
// whether they are taken, and `uninstall` takes away these and no other: a team may have names that begin like ours.

/** What pg_cron runs. The database schedules them (13_dunning, 18_schedule). */
export const CRON_JOBS: readonly string[] = ["duebase-dunning", "duebase-tick"];

/** Names in Vault that the database reads. */
export const VAULT_URL = "duebase_functions_url";
export const VAULT_CRON_SECRET = "duebase_cron_secret";
export const VAULT_ALERT_URL = "duebase_alert_webhook_url";
export const VAULT_NAMES: readonly string[] = [VAULT_CRON_SECRET, VAULT_URL, VAULT_ALERT_URL];

/** Our triggers on auth.users. */
export const USER_TRIGGERS: readonly string[] = ["duebase_links_customers", "duebase_unlinks_customers"];

export const CRON_SECRET = "DUEBASE_CRON_SECRET";
export const ALERT_WEBHOOK_URL = "DUEBASE_ALERT_WEBHOOK_URL";
export const HEALTH_SECRET = "DUEBASE_HEALTH_SECRET";
export const STRIPE_WEBHOOK_SECRET = "DUEBASE_STRIPE_WEBHOOK_SECRET";
export const RESEND_WEBHOOK_SECRET = "DUEBASE_RESEND_WEBHOOK_SECRET";

/** Every variable of ours that the Edge Functions read on the platform. */
export const FUNCTION_SECRETS: readonly string[] = [
  "DUEBASE_ALERT_EMAIL",
  ALERT_WEBHOOK_URL,
  CRON_SECRET,
  "DUEBASE_EMAIL_FROM",
  HEALTH_SECRET,
  "DUEBASE_PROJECT_REF",
  "DUEBASE_RESEND_API_KEY",
  "DUEBASE_RESEND_REQUESTS_PER_SECOND",
  RESEND_WEBHOOK_SECRET,
  "DUEBASE_STRIPE_SECRET_KEY",
  STRIPE_WEBHOOK_SECRET,
];

/** The command that deploys these functions and none of theirs: without names it would deploy all that are in the folder. */
export function deployCommand(slugs: readonly string[]): string {
  return `npx supabase functions deploy ${slugs.join(" ")}`;
}
