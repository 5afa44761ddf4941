/** A secret of the Edge Functions that a person gives; connect makes all others. */
export interface GivenSecret {
  name: string;
  /** As a question puts it. */
  what: string;
  /** Whether the functions refuse to serve without it. */
  isRequired: boolean;
  /** Whether it may be seen while it is typed. */
  isPublic: boolean;
}

/** What a person gives, by the environment or when asked. */
export const GIVEN_SECRETS: readonly GivenSecret[] = [
  secret("DUEBASE_STRIPE_SECRET_KEY", "Stripe's secret or restricted key (sk_… or rk_…)", true, false),
  secret("DUEBASE_RESEND_API_KEY", "Resend's API key (re_…)", true, false),
  secret("DUEBASE_EMAIL_FROM", "Sender of mail, such as Example <billing@example.com>", false, true),
  secret("DUEBASE_ALERT_EMAIL", "Who gets alerts by mail", false, true),
  secret(
    "DUEBASE_ALERT_WEBHOOK_URL",
    "Where alerts are posted, such as Slack's incoming webhook",
    false,
    false,
  ),
];

function secret(name: string, what: string, isRequired: boolean, isPublic: boolean): GivenSecret {
  return { name, what, isRequired, isPublic };
}

export const CRON_SECRET = "DUEBASE_CRON_SECRET";
export const STRIPE_WEBHOOK_SECRET = "DUEBASE_STRIPE_WEBHOOK_SECRET";
export const RESEND_WEBHOOK_SECRET = "DUEBASE_RESEND_WEBHOOK_SECRET";

/** Names in Vault that the database reads. */
export const VAULT_URL = "duebase_functions_url";
export const VAULT_CRON_SECRET = "duebase_cron_secret";

/** The schema that the Data API has to expose. */
export const BILLING_SCHEMA = "billing";
