import { SessionRefusedError } from "../_duebase/errors.ts";
import { type AppAddresses, homeOf, safeReturnUrl } from "../_duebase/return-url.ts";
import {
  createSessionEndpoint,
  onlyFields,
  type SessionEndpointDependencies,
} from "../_duebase/session-endpoint.ts";
import type { CallStripe } from "../_duebase/stripe.ts";
import { createStripeSession } from "../_duebase/stripe-session.ts";

/** What `billing.find_portal_customer` answers. */
export type PortalCustomer = {
  customer: string | null;
  /** Connected account (acct_…) the customer is of; null: the platform account itself. */
  account: string | null;
};

export type PortalDependencies = SessionEndpointDependencies & {
  /** The Stripe customer an owner is; with a subscription, the one that has it. */
  findCustomer: (ownerId: string, subscription?: string) => Promise<PortalCustomer>;
  callStripe: CallStripe;
};

/** The portal's single tasks that can be asked for, and whether each is about a subscription. */
const FLOWS = {
  payment_method_update: { needsSubscription: false },
  subscription_cancel: { needsSubscription: true },
  subscription_update: { needsSubscription: true },
} as const satisfies Record<string, { needsSubscription: boolean }>;

export type PortalFlow = keyof typeof FLOWS;

type PortalRequest = { returnUrl: string; flow: PortalFlow | undefined; subscription: string | undefined };

/**
 * Sends a signed-in user to the page in Stripe's customer portal of an owner they manage.
 *
 * Body, all of it optional: `owner_id`, which owner (else the only one they manage); `return_url`, where the portal
 * leads back to (else billing_url or app_url of settings); `flow`, one task instead of the whole portal;
 * `subscription`, whose customer it is to be and what the two subscription flows are about. Answers `{url}`, good for
 * a few minutes.
 */
export function createPortalHandler(
  dependencies: PortalDependencies,
): (request: Request) => Promise<Response> {
  const { findCustomer, callStripe } = dependencies;
  return createSessionEndpoint(dependencies, async ({ owner, body, addresses }) => {
    const wanted = readRequest(body, addresses);
    const { customer, account } = await findCustomer(owner, wanted.subscription);
    if (customer === null) throw missing(wanted);
    const url = await createStripeSession(
      callStripe,
      {
        path: "/v1/billing_portal/sessions",
        params: { customer, return_url: wanted.returnUrl, ...flowData(wanted) },
        account: account ?? undefined,
      },
      "Has the customer portal been set up once, in this mode, in Stripe's dashboard?",
    );
    return { url, customer };
  });
}

function readRequest(body: Record<string, unknown>, addresses: AppAddresses): PortalRequest {
  onlyFields(body, ["return_url", "flow", "subscription"]);
  const { return_url, flow, subscription } = body;
  const returnUrl =
    return_url === undefined ? homeOf(addresses) : safeReturnUrl(return_url, "return_url", addresses);
  if (flow !== undefined && !isFlow(flow)) {
    throw invalid(`"flow" is one of ${Object.keys(FLOWS).join(", ")}.`);
  }
  if (subscription !== undefined && !isSubscriptionId(subscription)) {
    throw invalid('"subscription" is the id of a subscription (sub_…).');
  }
  if (flow !== undefined && FLOWS[flow].needsSubscription && subscription === undefined) {
    throw invalid(`"flow" ${flow} needs a "subscription".`);
  }
  return { returnUrl, flow, subscription };
}

function isFlow(value: unknown): value is PortalFlow {
  return typeof value === "string" && Object.hasOwn(FLOWS, value);
}

function isSubscriptionId(value: unknown): value is string {
  return typeof value === "string" && /^sub_\w{1,250}$/.test(value);
}

/** Once the task is done, the user goes straight back instead of on to the portal. */
function flowData({ flow, subscription, returnUrl }: PortalRequest): Record<string, string> {
  if (flow === undefined) return {};
  return {
    "flow_data[type]": flow,
    "flow_data[after_completion][type]": "redirect",
    "flow_data[after_completion][redirect][return_url]": returnUrl,
    ...(FLOWS[flow].needsSubscription &&
      subscription !== undefined && { [`flow_data[${flow}][subscription]`]: subscription }),
  };
}

function missing({ subscription }: PortalRequest): SessionRefusedError {
  return subscription === undefined
    ? new SessionRefusedError("no_customer", 404, "Nothing has been bought yet.")
    : new SessionRefusedError("unknown_subscription", 404, "There is no such subscription.");
}

function invalid(message: string): SessionRefusedError {
  return new SessionRefusedError("invalid_request", 400, message);
}
