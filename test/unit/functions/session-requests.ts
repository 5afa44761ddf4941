import { createLogger } from "../../../supabase/functions/_duebase/log.ts";
import type { SessionEndpointDependencies } from "../../../supabase/functions/_duebase/session-endpoint.ts";
import { connectAuth } from "../../../supabase/functions/_duebase/signed-in-user.ts";
import { type CallStripe, connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";

/** Three parts, as a token has; whose it is only Auth knows. */
export const TOKEN = "header.canary-token.signature";
export const USER_ID = "0c0ffee0-0000-4000-8000-000000000001";
export const APP = "https://app.example.com";

/** What Stripe was asked, as it came over the wire. */
export interface StripeCall {
  path: string;
  form: Record<string, string>;
  headers: Record<string, string>;
}

/** The parts around a handler: Auth and Stripe answer what the test says, over the functions' own clients. */
export function surroundings() {
  const logged: string[] = [];
  const stripeCalls: StripeCall[] = [];
  const state = {
    auth: (): Response | Promise<Response> => Response.json({ id: USER_ID, email: "ada@example.com" }),
    stripe: (): Response | Promise<Response> =>
      Response.json({ id: "bps_1", url: "https://billing.stripe.com/p/session/canary-url" }),
    authCalls: 0,
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
    log: createLogger("session", (_level, line) => logged.push(line)),
  };
  return { state, stripeCalls, logged, common, callStripe };
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
