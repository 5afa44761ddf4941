import { createLogger } from "../../../supabase/functions/_duebase/log.ts";
import { connectOwners } from "../../../supabase/functions/_duebase/managed-owners.ts";
import type { SessionEndpointDependencies } from "../../../supabase/functions/_duebase/session-endpoint.ts";
import { connectAuth } from "../../../supabase/functions/_duebase/signed-in-user.ts";
import { type CallStripe, connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";

/** Three parts, as a token has; whose it is only Auth knows. */
export const TOKEN = "header.canary-token.signature";
export const USER_ID = "0c0ffee0-0000-4000-8000-000000000001";
/** A team that user may be a manager or a member of. */
export const TEAM_ID = "0c0ffee0-0000-4000-8000-0000000000aa";
export const OTHER_TEAM_ID = "0c0ffee0-0000-4000-8000-0000000000bb";
export const APP = "https://app.example.com";

/** What Stripe was asked, as it came over the wire. */
export interface StripeCall {
  path: string;
  form: Record<string, string>;
  headers: Record<string, string>;
}

/** What the database was asked about owners, as it came over the wire. */
export interface OwnerCall {
  url: URL;
  headers: Record<string, string>;
}

/** The parts around a handler: Auth, the database's my_owners and Stripe answer what the test says, over the functions' own clients. */
export function surroundings() {
  const logged: string[] = [];
  const stripeCalls: StripeCall[] = [];
  const ownerCalls: OwnerCall[] = [];
  const state = {
    auth: (): Response | Promise<Response> => Response.json({ id: USER_ID, email: "ada@example.com" }),
    stripe: (): Response | Promise<Response> =>
      Response.json({ id: "bps_1", url: "https://billing.stripe.com/p/session/canary-url" }),
    authCalls: 0,
    /** The rows of my_owners: without a function of the application's, the user alone. */
    owners: [{ owner_id: USER_ID, can_manage: true }],
    /** Another answer of the Data API's than the rows that its filters leave. */
    owned: undefined as (() => Response | Promise<Response>) | undefined,
  };
  const callStripe: CallStripe = connectStripe({
    secretKey: "sk_test_canary",
    fetch: async (url, init) => {
      stripeCalls.push({
        path: new URL(String(url)).pathname,
        form: Object.fromEntries(new URLSearchParams(String(init?.body))),
        headers: init?.headers as Record<string, string>,
      });
      return state.stripe();
    },
  });
  const common: SessionEndpointDependencies = {
    readAddresses: async () => ({ app_url: APP, billing_url: null }),
    verifyUser: connectAuth({
      url: "https://project.example.com",
      secretKey: "sb_secret_canary",
      fetch: async () => {
        state.authCalls++;
        return state.auth();
      },
    }),
    readManagedOwners: connectOwners({
      url: "https://project.example.com",
      secretKey: "sb_secret_canary",
      projectRef: "local",
      fetch: async (input, init) => {
        const url = new URL(String(input));
        ownerCalls.push({ url, headers: init?.headers as Record<string, string> });
        if (state.owned) return state.owned();
        const { can_manage, owner_id = "" } = Object.fromEntries(url.searchParams);
        const rows = state.owners.filter(
          (row) =>
            (can_manage !== "is.true" || row.can_manage) &&
            (owner_id === "" || owner_id === `eq.${row.owner_id}`),
        );
        return Response.json(rows);
      },
    }),
    log: createLogger("session", (_level, line) => logged.push(line)),
  };
  return { state, stripeCalls, ownerCalls, logged, common, callStripe };
}

/** A signed-in user's request; `undefined` sends no body at all. */
export function request(body?: unknown, headers: Record<string, string> = {}, method = "POST"): Request {
  return new Request("http://localhost/session", {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    body:
      method !== "POST" || body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Status and error code of a refusal. */
export async function answerOf(response: Response): Promise<[number, string | undefined]> {
  const body = (await response.json()) as { error?: { code: string } };
  return [response.status, body.error?.code];
}
