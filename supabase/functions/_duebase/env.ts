import { ConfigurationError } from "./errors.ts";
import { projectRef } from "./project-ref.ts";

/** Where settings come from: `Deno.env.get` when serving, a plain lookup in tests. */
export type ReadVariable = (name: string) => string | undefined;

/** What every function needs to reach the project's own Data API. */
export type ProjectEnvironment = {
  supabaseUrl: string;
  secretKey: string;
  /** Which project this is: what the database takes from another one it only receives. */
  projectRef: string;
};

/** What `duebase-stripe-webhook` and `duebase-resend-webhook` need. */
export type WebhookEnvironment = ProjectEnvironment & { webhookSecrets: string[] };

/** What a function can tell the operator by, where the database does not. */
export type AlarmEnvironment = { alertWebhookUrl: string | undefined };

/** What `duebase-health` needs. */
export type HealthEnvironment = ProjectEnvironment &
  AlarmEnvironment & {
    /** What shows the rows, and not only the status. Several while one is being rotated out; none: nobody sees them. */
    healthSecrets: string[];
  };

/** What `duebase-dunning` needs. */
export type DunningEnvironment = ProjectEnvironment & {
  /** Shared with cron through Vault. Several while one is being rotated out; any of them will do. */
  cronSecrets: string[];
  stripeSecretKey: string;
  stripeUrl: string | undefined;
  /** Set by the local stack, which may bring a clock and stop the function where it likes. */
  isLocal: boolean;
};

/** What `duebase-deliver` needs. */
export type DeliverEnvironment = DunningEnvironment &
  AlarmEnvironment & {
    resendApiKey: string;
    resendUrl: string | undefined;
    /** How often Resend may be asked; its limit is per team. Default 2. */
    resendRequestsPerSecond: number;
    /** Sender of mail where `billing.settings` names none, and of alerts. */
    emailFrom: string | undefined;
    alertEmail: string | undefined;
  };

/** What `duebase-portal` and `duebase-checkout` need. */
export type SessionEnvironment = ProjectEnvironment & {
  stripeSecretKey: string;
  stripeUrl: string | undefined;
};

/** Locally, where no domain is verified and no mail leaves. */
const LOCAL_SENDER = "billing@example.com";

/** Locally alerts go to the inbox, where whoever tries things out sees them. */
const LOCAL_OPERATOR = "operator@example.com";

/**
 * Names that many projects have set already. Each is read where ours is not set at all; a blank one of ours counts as
 * set, so that it is reported, and no other account's key is taken for it.
 */
export const COMMON_NAMES: Readonly<Record<string, string>> = {
  DUEBASE_STRIPE_SECRET_KEY: "STRIPE_SECRET_KEY",
  DUEBASE_STRIPE_WEBHOOK_SECRET: "STRIPE_WEBHOOK_SECRET",
  DUEBASE_RESEND_API_KEY: "RESEND_API_KEY",
  DUEBASE_RESEND_WEBHOOK_SECRET: "RESEND_WEBHOOK_SECRET",
  DUEBASE_RESEND_REQUESTS_PER_SECOND: "RESEND_REQUESTS_PER_SECOND",
  DUEBASE_EMAIL_FROM: "EMAIL_FROM",
  DUEBASE_ALERT_EMAIL: "ALERT_EMAIL",
  DUEBASE_ALERT_WEBHOOK_URL: "ALERT_WEBHOOK_URL",
};

/** Both name the same thing: the platform sets the first, projects from before 2026 only the last. */
const SECRET_KEY_NAMES = ["SUPABASE_SECRET_KEYS", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"];

/**
 * Reads `SUPABASE_URL`, the secret key and `DUEBASE_STRIPE_WEBHOOK_SECRET`, which may hold several secrets
 * separated by commas while one is being rotated out.
 *
 * @throws ConfigurationError naming every variable that is missing, blank or unreadable, never a value.
 */
export function readWebhookEnvironment(read: ReadVariable): WebhookEnvironment & AlarmEnvironment {
  return { ...webhookEnvironment(read, "DUEBASE_STRIPE_WEBHOOK_SECRET"), ...alarms(read) };
}

/**
 * Reads what `duebase-health` needs: the project's own, and `DUEBASE_HEALTH_SECRET`, which may hold several secrets
 * separated by commas, or none.
 *
 * @throws ConfigurationError as readWebhookEnvironment does.
 */
export function readHealthEnvironment(read: ReadVariable): HealthEnvironment {
  return {
    ...readAll({
      ...project(read),
      healthSecrets: () => secretsIfAny(read, "DUEBASE_HEALTH_SECRET"),
    }),
    ...alarms(read),
  };
}

/**
 * The same for Resend's webhooks, whose secrets are in `DUEBASE_RESEND_WEBHOOK_SECRET`.
 *
 * @throws ConfigurationError as readWebhookEnvironment does.
 */
export function readResendWebhookEnvironment(read: ReadVariable): WebhookEnvironment {
  return webhookEnvironment(read, "DUEBASE_RESEND_WEBHOOK_SECRET");
}

/**
 * The secrets of `duebase-stripe-webhook`, for a function that tries the way in with a signed event of its own.
 *
 * @returns none where the variable is missing or blank
 */
export function readSecretsOfStripesWebhook(read: ReadVariable): string[] {
  return secretsIfAny(read, "DUEBASE_STRIPE_WEBHOOK_SECRET");
}

function webhookEnvironment(read: ReadVariable, secretName: string): WebhookEnvironment {
  return readAll({ ...project(read), webhookSecrets: () => secretList(read, secretName) });
}

/**
 * Reads what `duebase-deliver` needs: besides the project's own, `DUEBASE_CRON_SECRET`, which may hold several secrets
 * separated by commas, `DUEBASE_RESEND_API_KEY` and `DUEBASE_STRIPE_SECRET_KEY`; and what it can do without. Stripe's and Resend's addresses are taken from
 * `DUEBASE_STRIPE_API_URL` and `DUEBASE_RESEND_BASE_URL` where the local stack says so.
 *
 * @throws ConfigurationError as readWebhookEnvironment does.
 */
export function readDeliverEnvironment(read: ReadVariable): DeliverEnvironment {
  const isLocal = isLocalStack(read);
  return {
    ...readAll({
      ...project(read),
      ...cronAndStripe(read),
      resendApiKey: () => required(read, "DUEBASE_RESEND_API_KEY"),
      resendRequestsPerSecond: () => positiveNumber(read, "DUEBASE_RESEND_REQUESTS_PER_SECOND", 2),
    }),
    resendUrl: isLocal ? readSetting(read, "DUEBASE_RESEND_BASE_URL") : undefined,
    stripeUrl: stripeUrl(read),
    emailFrom: readSetting(read, "DUEBASE_EMAIL_FROM") ?? (isLocal ? LOCAL_SENDER : undefined),
    alertEmail: readSetting(read, "DUEBASE_ALERT_EMAIL") ?? (isLocal ? LOCAL_OPERATOR : undefined),
    ...alarms(read),
    isLocal,
  };
}

/**
 * Reads what `duebase-portal` and `duebase-checkout` need: besides the project's own, `DUEBASE_STRIPE_SECRET_KEY`. Stripe's address
 * is taken from `DUEBASE_STRIPE_API_URL` where the local stack says so.
 *
 * @throws ConfigurationError as readWebhookEnvironment does.
 */
export function readSessionEnvironment(read: ReadVariable): SessionEnvironment {
  return {
    ...readAll({ ...project(read), stripeSecretKey: () => required(read, "DUEBASE_STRIPE_SECRET_KEY") }),
    stripeUrl: stripeUrl(read),
  };
}

/**
 * Reads what `duebase-dunning` needs besides the project's own: `DUEBASE_CRON_SECRET` and `DUEBASE_STRIPE_SECRET_KEY`.
 *
 * @throws ConfigurationError as readWebhookEnvironment does.
 */
export function readDunningEnvironment(read: ReadVariable): DunningEnvironment {
  return {
    ...readAll({ ...project(read), ...cronAndStripe(read) }),
    stripeUrl: stripeUrl(read),
    isLocal: isLocalStack(read),
  };
}

const project = (read: ReadVariable) => ({
  supabaseUrl: () => projectUrl(read),
  secretKey: () => serviceKey(read),
  projectRef: () => projectRef(projectUrl(read), read),
});

const cronAndStripe = (read: ReadVariable) => ({
  cronSecrets: () => secretList(read, "DUEBASE_CRON_SECRET"),
  stripeSecretKey: () => required(read, "DUEBASE_STRIPE_SECRET_KEY"),
});

const alarms = (read: ReadVariable): AlarmEnvironment => ({
  alertWebhookUrl: readSetting(read, "DUEBASE_ALERT_WEBHOOK_URL"),
});

const isLocalStack = (read: ReadVariable): boolean => readSetting(read, "DUEBASE_LOCAL_STACK") === "1";

/** Stripe's own, unless the local stack says otherwise. */
function stripeUrl(read: ReadVariable): string | undefined {
  return isLocalStack(read) ? readSetting(read, "DUEBASE_STRIPE_API_URL") : undefined;
}

/** Reads every part, and throws one ConfigurationError that names all that are not there. */
function readAll<Parts extends Record<string, () => unknown>>(
  parts: Parts,
): { [Name in keyof Parts]: ReturnType<Parts[Name]> } {
  const problems: string[] = [];
  const values = Object.entries(parts).map(([name, readPart]) => {
    try {
      return [name, readPart()] as const;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(error.message);
      return [name, undefined] as const;
    }
  });
  if (problems.length > 0)
    throw new ConfigurationError(`Refusing to serve. ${[...new Set(problems)].join(" ")}`);
  return Object.fromEntries(values) as { [Name in keyof Parts]: ReturnType<Parts[Name]> };
}

function positiveNumber(read: ReadVariable, name: string, otherwise: number): number {
  const value = readSetting(read, name);
  if (value === undefined) return otherwise;
  if (!(Number(value) > 0)) throw new ConfigurationError(`${name} is not a positive number.`);
  return Number(value);
}

function projectUrl(read: ReadVariable): string {
  const value = required(read, "SUPABASE_URL");
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new ConfigurationError("SUPABASE_URL is not an http(s) address.");
  }
  return value.replace(/\/+$/, "");
}

/**
 * The key that acts as `service_role`. The platform hands out a JSON dictionary of named keys
 * (`{"default":"sb_secret_…"}`); self-hosted projects may export a single one; older projects have a JWT.
 * https://supabase.com/docs/guides/functions/secrets
 */
function serviceKey(read: ReadVariable): string {
  const [dictionary = "", ...singles] = SECRET_KEY_NAMES;
  const named = readSetting(read, dictionary);
  if (named !== undefined) {
    const key = firstKey(named);
    if (key === undefined) {
      throw new ConfigurationError(`${dictionary} is not a JSON dictionary holding a key.`);
    }
    return key;
  }
  for (const name of singles) {
    const key = readSetting(read, name);
    if (key !== undefined) return key;
  }
  throw new ConfigurationError(`Missing ${SECRET_KEY_NAMES.join(" or ")}.`);
}

function firstKey(dictionary: string): string | undefined {
  let keys: unknown;
  try {
    keys = JSON.parse(dictionary);
  } catch {
    return undefined;
  }
  if (typeof keys !== "object" || keys === null) return undefined;
  const candidates = ["default" in keys ? keys.default : undefined, ...Object.values(keys)];
  return candidates.find((key): key is string => typeof key === "string" && key.trim() !== "")?.trim();
}

function secretList(read: ReadVariable, name: string): string[] {
  const secrets = required(read, name)
    .split(",")
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");
  // Anybody can guess a blank secret.
  if (secrets.length === 0) throw new ConfigurationError(`Missing ${name}.`);
  return secrets;
}

function secretsIfAny(read: ReadVariable, name: string): string[] {
  return readSetting(read, name) === undefined ? [] : secretList(read, name);
}

function required(read: ReadVariable, name: string): string {
  const value = readSetting(read, name);
  if (value === undefined) throw new ConfigurationError(`Missing ${name}.`);
  return value;
}

/** A setting under our name, else under the common one; undefined where it is not set, or blank. */
export function readSetting(read: ReadVariable, name: string): string | undefined {
  const common = COMMON_NAMES[name];
  const value = (read(name) ?? (common === undefined ? undefined : read(common)))?.trim();
  return value === "" ? undefined : value;
}
