/**
 * The keys of every local stack: the same on every machine, worth nothing anywhere else, and written so that no
 * one (and no secret scanner) takes them for real ones.
 */
export const localKeys = {
  publishable: "sb_publishable_duebase_local_example",
  secret: "sb_secret_duebase_local_example",
  /** Signs the access tokens of users. */
  jwtSecret: "duebase-local-example-jwt-secret-of-at-least-32-characters",
  stripeSecretKey: "sk_test_duebase_local_example",
  resendApiKey: "re_duebase_local_example",
  /** Base64 of a sentence that says it is none. */
  resendWebhookSecret: `whsec_${Buffer.from("duebase local example, not a secret").toString("base64")}`,
  /** Lets the database's cron jobs call functions that only they may call. */
  cronSecret: "duebase_local_example_cron_secret",
  /** Shows every check of duebase-health. */
  healthSecret: "duebase_local_example_health_secret",
  stripeWebhookSecret: "whsec_duebase_local_example",
};
