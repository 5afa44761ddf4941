import { readBody } from "./body.ts";
import {
  errorResponse,
  MethodNotAllowedError,
  OriginNotAllowedError,
  SessionRefusedError,
} from "./errors.ts";
import { parseJson } from "./json.ts";
import { describeError, type LogFields, type Logger, loggableId, outcomeOf } from "./log.ts";
import { ownerToActFor, type ReadManagedOwners, readOwnerId } from "./managed-owners.ts";
import { type AppAddresses, appOrigins } from "./return-url.ts";
import { bearerToken, type SignedInUser, type VerifyUser } from "./signed-in-user.ts";

/** What a function that opens a page at Stripe needs of its surroundings. */
export type SessionEndpointDependencies = {
  readAddresses: () => Promise<AppAddresses>;
  verifyUser: VerifyUser;
  readManagedOwners: ReadManagedOwners;
  log: Logger;
};

/** What a signed-in user asked for. */
export type SessionRequest = {
  user: SignedInUser;
  /** Id of the owner the user acts for, and manages: themselves, or a team of the application's. */
  owner: string;
  /** The body without `owner_id`; an empty one asks for nothing in particular. */
  body: Record<string, unknown>;
  addresses: AppAddresses;
};

/** The page at Stripe to send the user to, and whose it is. */
export type Session = { url: string; customer: string | undefined };

/** A price, some addresses and a key. */
const MAX_BODY_BYTES = 16_384;
const METHODS = "POST, OPTIONS";

/**
 * The way in for signed-in users, from a browser or not: answers the preflight, finds out who asks and for which
 * owner, reads the body within bounds, and answers with the address of the page that `create` gets from Stripe. Only
 * pages of the application's own origins are let read the answer. Writes one log line a request.
 */
export function createSessionEndpoint(
  dependencies: SessionEndpointDependencies,
  create: (request: SessionRequest) => Promise<Session>,
): (request: Request) => Promise<Response> {
  const { readAddresses, verifyUser, readManagedOwners, log } = dependencies;

  return async (request) => {
    const startedAt = performance.now();
    let cors: Record<string, string> = { vary: "origin" };
    let user: SignedInUser | undefined;
    let owner: string | undefined;
    const report = (fields: Omit<LogFields, "duration_ms"> & { status: number }) => {
      const level = fields.status >= 500 ? "error" : fields.status >= 400 ? "warn" : "info";
      const duration_ms = Math.round((performance.now() - startedAt) * 10) / 10;
      log(level, { user: loggableId(user?.id), owner: loggableId(owner), ...fields, duration_ms });
    };

    try {
      if (request.method !== "POST" && request.method !== "OPTIONS") throw new MethodNotAllowedError(METHODS);
      const addresses = await readAddresses();
      cors = corsHeaders(request, addresses);
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: cors });
      const token = bearerToken(request);
      const { owner_id, ...body } = readObject(await readBody(request, MAX_BODY_BYTES));
      const wanted = readOwnerId(owner_id);
      // Both at the same time: a request waits for the slower one only. What the database answers to the token counts
      // only after Auth has confirmed that its session has not ended.
      const managed = readManagedOwners(token, wanted);
      // Where Auth refuses first, nobody waits for it any more.
      managed.catch(() => {});
      user = await verifyUser(token);
      owner = ownerToActFor(await managed, wanted);
      const { url, customer } = await create({ user, owner, body, addresses });
      report({ outcome: "created", status: 200, customer: loggableId(customer) });
      // The address alone gives access: no cache may keep it.
      return Response.json({ url }, { headers: { ...cors, "cache-control": "no-store" } });
    } catch (error) {
      const response = errorResponse(error);
      for (const [name, value] of Object.entries(cors)) response.headers.set(name, value);
      report({
        outcome: outcomeOf(error),
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
 * Refuses unknown fields: a misspelt field would otherwise count as left out. `owner_id` is known everywhere.
 *
 * @throws SessionRefusedError invalid_request
 */
export function onlyFields(body: Record<string, unknown>, names: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const known = ["owner_id", ...names].map((name) => `"${name}"`).join(", ");
  throw new SessionRefusedError("invalid_request", 400, `There is a field nobody knows; known are ${known}.`);
}
