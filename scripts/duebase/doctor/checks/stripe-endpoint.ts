import { type Check, type Finding, mayBeWrong, orRight, wrong } from "../check.ts";
import { type ReadStripe, refusalOfStripe, withoutStripeKey } from "../stripe.ts";

interface Endpoint {
  id: string;
  url: string;
  status: string;
  livemode: boolean;
  enabled_events: string[];
}

const CONNECT = "npx duebase connect";

/** Stripe's side of the webhook: URL, mode, status, types and snapshot payloads. */
export const stripeEndpoint: Check = {
  name: "stripe_endpoint",
  title: "Stripe's endpoint",
  async look(context) {
    const { stripe } = context;
    if (stripe === undefined) return [withoutStripeKey("Stripe\u2019s webhook endpoint")];
    const { url } = await context.functions();
    if (url === null)
      return [
        wrong("this project\u2019s webhook address is not known", "first mend what \u201cVault\u201d says"),
      ];
    const address = `${url}/duebase-stripe-webhook`;
    let endpoints: Endpoint[];
    try {
      const { object } = await stripe.get("/v1/webhook_endpoints", { limit: "100" });
      endpoints = object.data as Endpoint[];
    } catch (error) {
      return [refusalOfStripe(error, "the webhook endpoint", "Webhook Endpoints")];
    }
    const ours = endpoints.filter((endpoint) => sameUrl(endpoint.url, address));
    const [first, ...more] = ours.sort((a, b) => a.status.localeCompare(b.status) * -1);
    if (first === undefined) return [await missing(stripe, endpoints, address)];
    const needed = await context.sql<{ type: string }[]>`
      select distinct event_type as type from billing.event_handlers where enabled order by 1`;
    const { livemode } = await context.settings();
    const findings = faultsOf(
      first,
      needed.map(({ type }) => type),
      livemode,
    );
    if (more.some(({ status }) => status === "enabled")) {
      findings.push(
        mayBeWrong(
          `${more.length + 1} endpoints at Stripe have this URL, and each event comes as often`,
          "remove all but one at https://dashboard.stripe.com/webhooks",
        ),
      );
    }
    return orRight(findings, `${first.id} sends all ${needed.length} types of events here`);
  },
};

function faultsOf(endpoint: Endpoint, needed: string[], livemode: boolean): Finding[] {
  const page = `https://dashboard.stripe.com/webhooks/${endpoint.id}`;
  const findings: Finding[] = [];
  if (endpoint.status !== "enabled")
    findings.push(wrong(`the endpoint is ${endpoint.status}`, `enable it at ${page}`));
  if (endpoint.livemode !== livemode) {
    findings.push(
      wrong(
        `the endpoint is of ${endpoint.livemode ? "live" : "test"} mode, the project mirrors the other`,
        `set livemode in billing.settings, or with a key of the other mode: ${CONNECT}`,
      ),
    );
  }
  const missing = endpoint.enabled_events.includes("*")
    ? []
    : needed.filter((type) => !endpoint.enabled_events.includes(type));
  if (missing.length > 0) {
    findings.push(wrong(`the endpoint does not send ${missing.join(", ")}`, `${CONNECT} adds them`));
  }
  return findings;
}

async function missing(stripe: ReadStripe, endpoints: Endpoint[], address: string): Promise<Finding> {
  if (await isThin(stripe, address)) {
    return wrong(
      "Stripe sends thin events here, which do not carry their object",
      `remove that endpoint at https://dashboard.stripe.com/webhooks, then: ${CONNECT} (makes one with snapshot payloads)`,
    );
  }
  const elsewhere = endpoints.find(({ url }) => url.replace(/\/+$/, "").endsWith("/duebase-stripe-webhook"));
  if (elsewhere) {
    return wrong(
      `Stripe sends events to ${elsewhere.url}, this project is at ${address}`,
      `set the URL at https://dashboard.stripe.com/webhooks/${elsewhere.id}, or make another endpoint: ${CONNECT}`,
    );
  }
  return wrong(`Stripe has no webhook endpoint for ${address}`, CONNECT);
}

interface EventDestination {
  event_payload: string;
  webhook_endpoint?: { url?: string };
}

/** Thin endpoints are in no list of v1. A key that may not look there tells nothing. */
async function isThin(stripe: ReadStripe, address: string): Promise<boolean> {
  try {
    const { object } = await stripe.get("/v2/core/event_destinations", {
      "include[0]": "webhook_endpoint.url",
    });
    return (object.data as EventDestination[]).some(
      (one) => one.event_payload === "thin" && sameUrl(one.webhook_endpoint?.url ?? "", address),
    );
  } catch {
    return false;
  }
}

const sameUrl = (one: string, other: string) => one.replace(/\/+$/, "") === other.replace(/\/+$/, "");
