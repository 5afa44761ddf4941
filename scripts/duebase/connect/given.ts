import { modeOfKey } from "../../../supabase/functions/_duebase/stripe.ts";
import { Refusal, type Terminal } from "../terminal.ts";
import {
  ALERT_WEBHOOK_URL,
  CRON_SECRET,
  GIVEN_SECRETS,
  HEALTH_SECRET,
  STRIPE_WEBHOOK_SECRET,
} from "./names.ts";

/**
 * The secrets that this machine's environment names. Our own names only: under the common ones may be another account's.
 *
 * @throws Refusal where one cannot be what it is called
 */
export function givenSecrets(env: NodeJS.ProcessEnv): Map<string, string> {
  const names = [...GIVEN_SECRETS.map(({ name }) => name), CRON_SECRET, STRIPE_WEBHOOK_SECRET];
  const given = new Map<string, string>();
  for (const name of names) {
    const value = env[name]?.trim();
    if (value) given.set(name, checked(name, value));
  }
  return given;
}

/**
 * Asks for what neither the environment nor the project has. An empty answer leaves it out.
 *
 * @param isKnown whether the project has it already
 */
export async function askForSecrets(
  terminal: Terminal,
  given: Map<string, string>,
  isKnown: (name: string) => boolean,
): Promise<void> {
  for (const { name, what, isRequired, isPublic } of GIVEN_SECRETS) {
    if (given.has(name) || isKnown(name)) continue;
    const question = `${what}${isRequired ? "" : ", or nothing"}:`;
    const cure = `Set ${name}.`;
    const answer = isPublic ? await terminal.ask(question, cure) : await terminal.askSecret(question, cure);
    if (answer !== "") given.set(name, checked(name, answer));
  }
}

function checked(name: string, value: string): string {
  if (name === "DUEBASE_STRIPE_SECRET_KEY" && modeOfKey(value) === undefined) {
    throw new Refusal(
      `${name} is no secret key of Stripe.`,
      "It begins with sk_ or rk_, then live_ or test_: https://dashboard.stripe.com/apikeys",
    );
  }
  if (name === "DUEBASE_RESEND_API_KEY" && !value.startsWith("re_")) {
    throw new Refusal(`${name} is no API key of Resend.`, "It begins with re_: https://resend.com/api-keys");
  }
  if (name === HEALTH_SECRET && secretsIn(value).some((secret) => secret.length < 16)) {
    throw new Refusal(`${name} is too short to be a secret.`, "Make one: openssl rand -base64 32");
  }
  if (name === ALERT_WEBHOOK_URL && !/^https?:\/\/[^/\s]+\S*$/i.test(value)) {
    throw new Refusal(
      `${name} is no http(s) address.`,
      "It is the address of an incoming webhook, such as Slack's.",
    );
  }
  if (name === CRON_SECRET && secretsIn(value).some((secret) => secret.length < 16)) {
    throw new Refusal(`${name} is too short to be a secret.`, "Leave it out, and one is generated.");
  }
  return value;
}

/** The secrets that a variable holds: several, separated by commas, while one is being rotated out. */
export function secretsIn(value: string): string[] {
  return value.split(",").map((secret) => secret.trim());
}
