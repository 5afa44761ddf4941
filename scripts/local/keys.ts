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
  stripeWebhookSecret: "whsec_duebase_local_example",
};
