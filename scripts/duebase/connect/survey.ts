import type { ResendApi } from "../connections/resend.ts";
import { ResendRefusal } from "../connections/resend.ts";
import { type StripeApi, StripeRefusal } from "../connections/stripe.ts";
import { Refusal } from "../terminal.ts";
import { readDatabase } from "./database.ts";
import { type Connections, type Found, joined, type Plan, planOf, type Wanted } from "./plan.ts";
import { planProject } from "./project-plan.ts";
import { planResendWebhook, resendWebhookUrl } from "./resend-plan.ts";
import { planStripeEndpoint, type StripeEndpoints } from "./stripe-plan.ts";

/**
 * Reads what the project has.
 *
 * @throws Refusal where it does not run, or something may not be read
 */
export async function findOut({ supabase, sql }: Connections): Promise<Found> {
  const project = await supabase.project();
  if (!project.status.startsWith("ACTIVE")) {
    throw new Refusal(
      `Project ${supabase.projectRef} does not run: it is ${project.status}.`,
      `Start it: https://supabase.com/dashboard/project/${supabase.projectRef}`,
    );
  }
  const database = await readDatabase(sql);
  const deployed = await supabase.functions();
  return {
    projectRef: supabase.projectRef,
    exposedSchemas: await supabase.exposedSchemas(),
    digests: await supabase.secretDigests(),
    deployed: new Set(deployed.map(({ slug }) => slug)),
    database,
  };
}

/** Everything that is missing, in the order in which it is set up. Reads at Stripe and Resend; changes nothing. */
export async function makePlan(connections: Connections, found: Found, wanted: Wanted): Promise<Plan> {
  return joined(
    planProject(found, wanted),
    await planAtStripe(connections.stripe, found, wanted),
    await planAtResend(connections.resend, found, wanted),
  );
}

async function planAtStripe(stripe: StripeApi | undefined, found: Found, wanted: Wanted): Promise<Plan> {
  if (stripe === undefined) return unread("Stripe", "DUEBASE_STRIPE_SECRET_KEY", found);
  let endpoints: StripeEndpoints;
  try {
    endpoints = {
      endpoints: await stripe.webhookEndpoints(),
      destinations: await destinationsOf(stripe),
    };
  } catch (error) {
    if (error instanceof StripeRefusal) return gapOf(error);
    throw error;
  }
  return planStripeEndpoint(found, wanted, endpoints);
}

/** They only tell of thin endpoints: a key that may not read them is good enough. */
async function destinationsOf(stripe: StripeApi): Promise<StripeEndpoints["destinations"]> {
  try {
    return await stripe.eventDestinations();
  } catch (error) {
    if (error instanceof StripeRefusal) return undefined;
    throw error;
  }
}

async function planAtResend(resend: ResendApi | undefined, found: Found, wanted: Wanted): Promise<Plan> {
  if (resend === undefined) return unread("Resend", "DUEBASE_RESEND_API_KEY", found);
  const url = resendWebhookUrl(wanted.functionsUrl);
  try {
    const ours = (await resend.webhooks()).filter(({ endpoint }) => endpoint === url);
    const known = await Promise.all(
      ours.map(async (it) => ({ ...it, secret: await resend.webhookSecret(it.id) })),
    );
    return planResendWebhook(found, wanted, known);
  } catch (error) {
    if (error instanceof ResendRefusal) return gapOf(error);
    throw error;
  }
}

/** Where the project has a key and this machine has not: what is at the service is not known. */
function unread(service: string, name: string, { digests }: Found): Plan {
  if (!digests.has(name)) return planOf();
  return {
    ...planOf(),
    missing: [
      {
        what: `the webhook at ${service} was not looked for: ${name} is set in the project, and cannot be read there`,
        cure: `Set ${name} here too, and run the command again.`,
      },
    ],
  };
}

function gapOf(error: Refusal): Plan {
  return { ...planOf(), missing: [{ what: error.message, cure: error.cure }] };
}
