import { ALERT_WEBHOOK_URL, HEALTH_SECRET } from "../project/our-names.ts";

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
    ALERT_WEBHOOK_URL,
    "Where alerts and alarms are posted, such as Slack's incoming webhook",
    false,
    false,
  ),
  secret(
    HEALTH_SECRET,
    "What a monitor shows to read every check of duebase-health, 16 characters or more",
    false,
    false,
  ),
];

function secret(name: string, what: string, isRequired: boolean, isPublic: boolean): GivenSecret {
  return { name, what, isRequired, isPublic };
}

export {
  ALERT_WEBHOOK_URL,
  CRON_SECRET,
  HEALTH_SECRET,
  RESEND_WEBHOOK_SECRET,
  STRIPE_WEBHOOK_SECRET,
  VAULT_ALERT_URL,
  VAULT_CRON_SECRET,
  VAULT_URL,
} from "../project/our-names.ts";

/** The schema that the Data API has to expose. */
export const BILLING_SCHEMA = "billing";
