import { secretDigest } from "../connections/management.ts";
import {
  type EventDestination,
  type NewEndpoint,
  type StripeApi,
  StripeRefusal,
  type WebhookEndpoint,
} from "../connections/stripe.ts";
import { STRIPE_WEBHOOK_SECRET } from "./names.ts";
import { type Connections, type Found, type Plan, planOf, type Step, type Wanted } from "./plan.ts";

/** Metadata of an endpoint that connect made: for which project. */
const MADE_FOR = "duebase_project";
/** And the digest of the secret that was put into the project, once it was there. */
const STORED = "duebase_secret_sha256";

/** What Stripe has of endpoints. */
export interface StripeEndpoints {
  endpoints: WebhookEndpoint[];
  /** Undefined where the key may not read them. */
  destinations: EventDestination[] | undefined;
}

/** The address that Stripe sends events to. */
export function stripeWebhookUrl(functionsUrl: string): string {
  return `${functionsUrl}/duebase-stripe-webhook`;
}

/**
 * What is missing at Stripe: the endpoint, event types, its secret in the project. Changes nothing.
 *
 * Stripe shows an endpoint's secret once, and Supabase only digests. So an endpoint of ours carries the digest of what
 * was stored with it, written last: one without it was interrupted, its secret is nowhere, and it is made anew.
 */
export function planStripeEndpoint(found: Found, wanted: Wanted, stripe: StripeEndpoints): Plan {
  const url = stripeWebhookUrl(wanted.functionsUrl);
  const ours = stripe.endpoints.filter((it) => sameUrl(it.url, url));
  const given = wanted.given.get(STRIPE_WEBHOOK_SECRET);
  const inProject = found.digests.get(STRIPE_WEBHOOK_SECRET);
  // What connect stored and nobody changed is right, whatever this machine's environment has of another endpoint.
  const isProven = ours.some((it) => it.metadata[STORED] !== undefined && it.metadata[STORED] === inProject);
  const isGiven = given !== undefined && !isProven;
  const digest = isGiven ? secretDigest(given) : inProject;
  const plan = planOf();
  plan.notes.push(...thinNotes(stripe.destinations, url));
  const kept = wanted.renew.has("stripe") ? undefined : bestOf(ours, digest);
  if (kept === undefined) {
    plan.steps.push(creation(found, wanted, url, ours, given));
    return plan;
  }
  if (isGiven && inProject !== digest) plan.steps.push(storing(given));
  if (kept.metadata[STORED] !== undefined && kept.metadata[STORED] !== digest) {
    plan.notes.push(
      `${STRIPE_WEBHOOK_SECRET} was changed since connect stored it. Whether ${kept.id} is signed with it cannot be read: duebase doctor tries it, and --renew stripe makes the endpoint anew.`,
    );
  }
  plan.steps.push(...repairs(kept, found.database.eventTypes), ...removals(ours, kept));
  return plan;
}

/** The endpoint to keep: one whose secret the project has, or may have; enabled before disabled. */
function bestOf(ours: WebhookEndpoint[], digest: string | undefined): WebhookEndpoint | undefined {
  if (digest === undefined) return undefined;
  const score = (it: WebhookEndpoint): number => {
    if (it.metadata[STORED] === digest) return it.status === "enabled" ? 4 : 3;
    // Made by us, and interrupted before its secret was stored.
    if (it.metadata[MADE_FOR] !== undefined && it.metadata[STORED] === undefined) return 0;
    return it.status === "enabled" ? 2 : 1;
  };
  const [best] = [...ours].sort((left, right) => score(right) - score(left));
  return best && score(best) > 0 ? best : undefined;
}

/** Types that are missing are added; those that somebody chose beside ours stay. */
function repairs(kept: WebhookEndpoint, eventTypes: readonly string[]): Step[] {
  const steps: Step[] = [];
  const has = new Set(kept.enabled_events);
  const missing = has.has("*") ? [] : eventTypes.filter((type) => !has.has(type));
  if (missing.length > 0) {
    steps.push({
      id: "stripe-event-types",
      what: `add ${missing.length} event types to ${kept.id}: ${missing.join(", ")}`,
      run: ({ stripe }) =>
        of(stripe).updateEndpoint(kept.id, { events: [...kept.enabled_events, ...missing] }),
    });
  }
  if (kept.status !== "enabled") {
    steps.push({
      id: "stripe-endpoint-enabled",
      what: `enable ${kept.id}: it is ${kept.status}`,
      run: ({ stripe }) => of(stripe).updateEndpoint(kept.id, { disabled: false }),
    });
  }
  return steps;
}

/** No two enabled endpoints send to one address. What a person made is disabled, and not deleted. */
function removals(ours: WebhookEndpoint[], kept: WebhookEndpoint | undefined): Step[] {
  return ours
    .filter((it) => it.id !== kept?.id)
    .filter((it) => it.status === "enabled" || isLeftover(it))
    .map((it) => {
      const isOurs = it.metadata[MADE_FOR] !== undefined;
      return {
        id: "stripe-endpoint-removed",
        what: `${isOurs ? "delete" : "disable"} ${it.id}, which sends to the same address`,
        run: ({ stripe }: Connections) =>
          isOurs ? of(stripe).deleteEndpoint(it.id) : of(stripe).updateEndpoint(it.id, { disabled: true }),
      };
    });
}

function isLeftover({ metadata }: WebhookEndpoint): boolean {
  return metadata[MADE_FOR] !== undefined && metadata[STORED] === undefined;
}

/** One step, as its secret is only at hand in between: make, store, write down that it is stored, remove the others. */
function creation(
  found: Found,
  { renew, stripeAccount }: Wanted,
  url: string,
  ours: WebhookEndpoint[],
  givenSecret: string | undefined,
): Step {
  const types = found.database.eventTypes;
  const account = stripeAccount ?? found.database.stripeAccount;
  const why = renew.has("stripe")
    ? " anew"
    : ours.some(isLeftover)
      ? " anew, as the secret of the last one is lost"
      : "";
  const others = removals(ours, undefined);
  const also = others.map(({ what }) => `; then ${what}`).join("");
  return {
    id: "stripe-endpoint",
    what: `make the webhook endpoint ${url}${why} at Stripe, with ${types.length} event types and snapshot payloads, and set ${STRIPE_WEBHOOK_SECRET}${also}`,
    async run(connections) {
      const stripe = of(connections.stripe);
      const made = await createdEndpoint(stripe, ours.filter(isLeftover), {
        url,
        events: types,
        ofConnectedAccounts: account !== null,
        metadata: { [MADE_FOR]: found.projectRef },
      });
      // While the old endpoint is there as well, a secret that is known of it goes on verifying.
      const stored =
        ours.length > 0 && givenSecret !== undefined ? `${made.secret},${givenSecret}` : made.secret;
      await connections.supabase.setSecrets({ [STRIPE_WEBHOOK_SECRET]: stored });
      await stripe.updateEndpoint(made.id, { metadata: { [STORED]: secretDigest(stored) } });
      for (const other of others) await other.run(connections);
    },
  };
}

/** An account has sixteen endpoints at most: where there is no room, one whose secret is lost goes first. */
async function createdEndpoint(
  stripe: StripeApi,
  [leftover]: WebhookEndpoint[],
  wanted: NewEndpoint,
): Promise<WebhookEndpoint & { secret: string }> {
  try {
    return await stripe.createEndpoint(wanted);
  } catch (error) {
    const isFull = error instanceof StripeRefusal && /maximum of \d+/.test(error.message);
    if (!isFull || leftover === undefined) throw error;
    await stripe.deleteEndpoint(leftover.id);
    return await stripe.createEndpoint(wanted);
  }
}

function storing(given: string): Step {
  return {
    id: STRIPE_WEBHOOK_SECRET,
    what: `set the functions' secret ${STRIPE_WEBHOOK_SECRET}`,
    run: ({ supabase }) => supabase.setSecrets({ [STRIPE_WEBHOOK_SECRET]: given }),
  };
}

function thinNotes(destinations: EventDestination[] | undefined, url: string): string[] {
  return (destinations ?? [])
    .filter((it) => it.event_payload === "thin" && it.status === "enabled")
    .filter((it) => it.webhook_endpoint?.url && sameUrl(it.webhook_endpoint.url, url))
    .map(
      (it) =>
        `${it.id} sends thin events to the same address; all of them are refused. Disable it at https://dashboard.stripe.com/webhooks`,
    );
}

function sameUrl(left: string, right: string): boolean {
  return left.replace(/\/+$/, "") === right.replace(/\/+$/, "");
}

function of(stripe: StripeApi | undefined): StripeApi {
  if (stripe === undefined) throw new Error("a step at Stripe was planned without a key");
  return stripe;
}
