import { randomBytes } from "node:crypto";
import { COMMON_NAMES } from "../../../supabase/functions/_duebase/env.ts";
import { modeOfKey } from "../../../supabase/functions/_duebase/stripe.ts";
import { secretDigest } from "../connections/management.ts";
import { keepInVault, setLivemode, setStripeAccount } from "./database.ts";
import { secretsIn } from "./given.ts";
import {
  ALERT_WEBHOOK_URL,
  BILLING_SCHEMA,
  CRON_SECRET,
  GIVEN_SECRETS,
  type GivenSecret,
  VAULT_ALERT_URL,
  VAULT_CRON_SECRET,
  VAULT_URL,
} from "./names.ts";
import { type Found, joined, type Plan, planOf, type Wanted } from "./plan.ts";

/** What is missing in the project itself: exposed schema, settings, Vault, secrets, functions. Changes nothing. */
export function planProject(found: Found, wanted: Wanted): Plan {
  return joined(
    planExposure(found),
    planMode(found, wanted),
    planAccount(found, wanted),
    planFunctionsUrl(found, wanted),
    planCronSecret(found, wanted),
    planAlertAddress(found, wanted),
    ...GIVEN_SECRETS.map((secret) => planGivenSecret(found, wanted, secret)),
    planFunctions(found, wanted),
  );
}

function planExposure({ exposedSchemas }: Found): Plan {
  if (exposedSchemas.includes(BILLING_SCHEMA)) return planOf();
  return planOf({
    id: "exposed-schema",
    what: `expose schema ${BILLING_SCHEMA} in the Data API, beside ${exposedSchemas.join(", ") || "none"}`,
    async run({ supabase }) {
      // Read again: somebody may have exposed another one since the plan was shown.
      const exposed = await supabase.exposedSchemas();
      if (!exposed.includes(BILLING_SCHEMA)) await supabase.exposeSchemas([...exposed, BILLING_SCHEMA]);
    },
  });
}

/** The database mirrors the mode of the key, unless it has mirrored the other one already. */
function planMode({ database }: Found, { given }: Wanted): Plan {
  const key = given.get("DUEBASE_STRIPE_SECRET_KEY");
  const mode = key === undefined ? undefined : modeOfKey(key);
  if (mode === undefined || (mode === "live") === database.livemode) return planOf();
  if (database.hasEvents) {
    const stored = database.livemode ? "live" : "test";
    return {
      ...planOf(),
      missing: [
        {
          what: `the Stripe key is of ${mode} mode, and this database holds events of ${stored} mode`,
          cure: `Use a key of ${stored} mode, or a project of its own for ${mode} mode. If what is stored may stay beside it: update billing.settings set livemode = ${mode === "live"} where id;`,
        },
      ],
    };
  }
  return planOf({
    id: "livemode",
    what: `set settings.livemode to ${mode === "live"}: the Stripe key is of ${mode} mode`,
    run: ({ sql }) => setLivemode(sql, mode === "live"),
  });
}

function planAccount({ database }: Found, { stripeAccount }: Wanted): Plan {
  if (stripeAccount === undefined || stripeAccount === database.stripeAccount) return planOf();
  return planOf({
    id: "stripe-account",
    what: `set settings.stripe_account to ${stripeAccount}`,
    run: ({ sql }) => setStripeAccount(sql, stripeAccount),
  });
}

function planFunctionsUrl({ database }: Found, { functionsUrl }: Wanted): Plan {
  const known = database.vault.get(VAULT_URL);
  if (known?.replace(/\/+$/, "") === functionsUrl) return planOf();
  return planOf({
    id: "vault-functions-url",
    what: `put ${functionsUrl} into Vault as ${VAULT_URL}${inPlaceOf(known)}`,
    run: ({ sql }) => keepInVault(sql, VAULT_URL, functionsUrl),
  });
}

/** What is there is shown only if it is an address: the secret may have been put under the wrong name. */
function inPlaceOf(known: string | undefined): string {
  if (known === undefined) return "";
  return /^https?:\/\/[^@\s]*$/.test(known) ? `, in place of ${known}` : ", in place of something else";
}

/**
 * The secret between cron and the functions is in Vault, where it can be read, and among the functions' secrets, where
 * only its digest can. Vault is written first: what is there is what the next run goes by. While it is being rotated the
 * functions take several, separated by commas, and cron sends the first.
 */
function planCronSecret({ database, digests }: Found, { given }: Wanted): Plan {
  const inVault = database.vault.get(VAULT_CRON_SECRET);
  const own = given.get(CRON_SECRET);
  const digest = digests.get(CRON_SECRET);
  const value =
    (own === undefined ? undefined : secretsIn(own)[0]) ?? inVault ?? randomBytes(32).toString("base64url");
  const taken = own ?? value;
  const plan = planOf();
  if (value !== inVault) {
    const how = own === undefined ? "generate a secret and put it" : `put ${CRON_SECRET}`;
    plan.steps.push({
      id: "vault-cron-secret",
      what: `${how} into Vault as ${VAULT_CRON_SECRET}`,
      run: ({ sql }) => keepInVault(sql, VAULT_CRON_SECRET, value),
    });
  }
  if (digest !== secretDigest(taken)) {
    const what =
      taken === value ? "to what is in Vault" : "to what is in Vault and those that are being rotated";
    plan.steps.push({
      id: CRON_SECRET,
      what: `set the functions' secret ${CRON_SECRET} ${what}${digest === undefined ? "" : ": it is another one now"}`,
      run: ({ supabase }) => supabase.setSecrets({ [CRON_SECRET]: taken }),
    });
  }
  return plan;
}

/**
 * Alarms leave the database itself, so it has a copy of the address. Of what the functions have, only the digest can be
 * read.
 */
function planAlertAddress({ database, digests }: Found, { given }: Wanted): Plan {
  const inVault = database.vault.get(VAULT_ALERT_URL);
  const value = given.get(ALERT_WEBHOOK_URL);
  if (value !== undefined) {
    if (value === inVault) return planOf();
    return planOf({
      id: "vault-alert-url",
      what: `put ${ALERT_WEBHOOK_URL} into Vault as ${VAULT_ALERT_URL}${inVault === undefined ? "" : ", in place of another"}`,
      run: ({ sql }) => keepInVault(sql, VAULT_ALERT_URL, value),
    });
  }
  const ofFunctions = digests.get(ALERT_WEBHOOK_URL) ?? digests.get(COMMON_NAMES[ALERT_WEBHOOK_URL] ?? "");
  const ofDatabase = inVault === undefined ? undefined : secretDigest(inVault);
  if (ofFunctions === ofDatabase) return planOf();
  return {
    ...planOf(),
    missing: [
      {
        what: whoKnows(ofDatabase !== undefined, ofFunctions !== undefined),
        cure: `Set ${ALERT_WEBHOOK_URL} and run the command again: it goes into Vault and to the functions.`,
      },
    ],
  };
}

function whoKnows(database: boolean, functions: boolean): string {
  if (!database) return "the functions know where to post alarms, and the database does not";
  if (!functions) return "the database knows where to post alarms, and the functions do not";
  return "the database and the functions post alarms to different addresses";
}

function planGivenSecret({ digests }: Found, { given }: Wanted, secret: GivenSecret): Plan {
  const { name, what, isRequired } = secret;
  const value = given.get(name);
  const digest = digests.get(name);
  if (value !== undefined) {
    if (digest === secretDigest(value)) return planOf();
    return planOf({
      id: name,
      what: `set the functions' secret ${name}${digest === undefined ? "" : ", in place of another value"}`,
      run: ({ supabase }) => supabase.setSecrets({ [name]: value }),
    });
  }
  const common = COMMON_NAMES[name];
  if (digest !== undefined) return planOf();
  if (common !== undefined && digests.has(common)) {
    return { ...planOf(), notes: [`${name} is not set: the functions read ${common}, which is.`] };
  }
  if (!isRequired) return planOf();
  return {
    ...planOf(),
    missing: [{ what: `${name} is not set: ${what}`, cure: `Set ${name} and run the command again.` }],
  };
}

function planFunctions({ deployed, projectRef }: Found, { slugs }: Wanted): Plan {
  const absent = slugs.filter((slug) => !deployed.has(slug));
  if (absent.length === 0) return planOf();
  return {
    ...planOf(),
    missing: [
      {
        what: `not deployed: ${absent.join(", ")}`,
        cure: `npx supabase functions deploy ${absent.join(" ")} --project-ref ${projectRef}`,
      },
    ],
  };
}
