import { readBody } from "./body.ts";
import {
  DuebaseError,
  errorResponse,
  MethodNotAllowedError,
  OriginNotAllowedError,
  SessionRefusedError,
} from "./errors.ts";
import { parseJson } from "./json.ts";
import { describeError, type LogFields, type Logger, loggableId } from "./log.ts";
import { type AppAddresses, appOrigins } from "./return-url.ts";
import { bearerToken, type SignedInUser, type VerifyUser } from "./signed-in-user.ts";

export type SessionEndpointDependencies = {
  readAddresses: () => Promise<AppAddresses>;
  verifyUser: VerifyUser;
  log: Logger;
};

/** What a signed-in user asked for. */
export type SessionRequest = {
  user: SignedInUser;
  /** The body; an empty one asks for nothing in particular. */
  body: Record<string, unknown>;
  addresses: AppAddresses;
};

/** The page at Stripe to send the user to, and whose it is. */
export type Session = { url: string; customer: string | undefined };

/** A price, some addresses and a key. */
const MAX_BODY_BYTES = 16_384;
const METHODS = "POST, OPTIONS";

/**
 * The way in for signed-in users, from a browser or not: answers the preflight, finds out who asks, reads the body
 * within bounds, and answers with the address of the page that `create` gets from Stripe. Only pages of the
 * application's own origins are let read the answer. Writes one log line a request.
 */
export function createSessionEndpoint(
  dependencies: SessionEndpointDependencies,
  create: (request: SessionRequest) => Promise<Session>,
): (request: Request) => Promise<Response> {
  const { readAddresses, verifyUser, log } = dependencies;

  return async (request) => {
    const startedAt = performance.now();
    let cors: Record<string, string> = { vary: "origin" };
    let user: SignedInUser | undefined;
    const report = (fields: Omit<LogFields, "duration_ms"> & { status: number }) => {
      const level = fields.status >= 500 ? "error" : fields.status >= 400 ? "warn" : "info";
      const duration_ms = Math.round((performance.now() - startedAt) * 10) / 10;
      log(level, { user: loggableId(user?.id), ...fields, duration_ms });
    };

    try {
      if (request.method !== "POST" && request.method !== "OPTIONS") throw new MethodNotAllowedError(METHODS);
      const addresses = await readAddresses();
      cors = corsHeaders(request, addresses);
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: cors });
      const token = bearerToken(request);
      const body = readObject(await readBody(request, MAX_BODY_BYTES));
      user = await verifyUser(token);
      const { url, customer } = await create({ user, body, addresses });
      report({ outcome: "created", status: 200, customer: loggableId(customer) });
      // The address alone gives access: no cache may keep it.
      return Response.json({ url }, { headers: { ...cors, "cache-control": "no-store" } });
    } catch (error) {
      const response = errorResponse(error);
      for (const [name, value] of Object.entries(cors)) response.headers.set(name, value);
      report({
        outcome: error instanceof DuebaseError ? error.code : "internal_error",
        status: response.status,
        ...describeError(error),
      });
      return response;
    }
  };
}

/**
 * What lets a browser's page call and read the answer. Cookies play no part, so none are asked for.
 *
 * @throws OriginNotAllowedError for a preflight from elsewhere: a request that needs none gets no such headers.
 */
function corsHeaders(request: Request, addresses: AppAddresses): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null || !appOrigins(addresses).includes(origin)) {
    if (request.method === "OPTIONS") throw new OriginNotAllowedError();
    return { vary: "origin" };
  }
  return {
    vary: "origin",
    "access-control-allow-origin": origin,
    "access-control-expose-headers": "retry-after",
    ...(request.method === "OPTIONS" && {
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": "authorization, apikey, content-type, x-client-info",
      "access-control-max-age": "600",
    }),
  };
}

function readObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) return {};
  const { value } = parseJson(bytes);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new SessionRefusedError("invalid_request", 400, "The body has to be a JSON object.");
}

/**
 * Refuses unknown fields: a misspelt field would otherwise count as left out.
 *
 * @throws SessionRefusedError invalid_request
 */
export function onlyFields(body: Record<string, unknown>, names: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const known = names.map((name) => `"${name}"`).join(", ");
  throw new SessionRefusedError("invalid_request", 400, `There is a field nobody knows; known are ${known}.`);
}
