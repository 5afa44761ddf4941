import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { randomToken } from "./core/ids.ts";
import type { LedgerRequest } from "./core/ledger.ts";
import { transact } from "./core/transaction.ts";
import type { CurrentRequest, World } from "./core/world.ts";
import { ApiError, accountInvalid, authenticationError, unknownRoute } from "./http/errors.ts";
import { expanded, type Includable } from "./http/expand.ts";
import type { FaultAction, Faults } from "./http/faults.ts";
import { decodeForm, type FormHash } from "./http/form.ts";
import type { IdempotencyKeys } from "./http/idempotency.ts";
import { Params } from "./http/params.ts";
import type { Handler, Route } from "./http/route.ts";
import { addHostedPages } from "./pages/hosted.ts";
import { addOverviewPage } from "./pages/overview.ts";
import { addPortalPages } from "./pages/portal.ts";

type Env = { Bindings: HttpBindings };

export interface AppParts {
  world: World;
  /** Where the world is a connected account's: what is served to whoever does not name it in `Stripe-Account`. */
  platform: World | null;
  routes: Route[];
  includable: Includable;
  idempotency: IdempotencyKeys;
  faults: Faults;
  /** Null accepts any test key. */
  apiKey: string | null;
  /** Called after every request that may have changed something. */
  onChange: () => void;
  log: (line: string) => void;
}

interface Answer {
  status: number;
  body: string;
  errorCode: string | null;
}

/** The secret key of a Bearer or Basic `authorization` header. */
function keyOf(header: string | undefined): string {
  const [scheme, credentials] = (header ?? "").split(" ");
  if (!scheme || !credentials) {
    throw authenticationError(
      "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    );
  }
  if (scheme.toLowerCase() === "bearer") return credentials;
  return Buffer.from(credentials, "base64").toString().split(":")[0] ?? "";
}

function authenticate(header: string | undefined, apiKey: string | null): void {
  const key = keyOf(header);
  const accepted = apiKey === null ? /^(sk|rk)_test_/.test(key) : key === apiKey;
  if (!accepted) {
    const shown = key.length > 12 ? `${key.slice(0, 8)}***${key.slice(-4)}` : "***";
    throw authenticationError(`Invalid API Key provided: ${shown}`);
  }
}

/** The account a request is about: the key's own, or the connected one it names. */
function worldOf({ world, platform }: AppParts, named: string | undefined): World {
  const own = platform ?? world;
  if (named === undefined) return own;
  const found = [own, world].find(({ store }) => store.get("account", named));
  if (!found) throw accountInvalid(named);
  return found;
}

function cut(context: Context<Env>): Response {
  context.env.incoming.socket.destroy();
  return new Response(null, { status: 499 });
}

function faultAnswer(fault: Extract<FaultAction, { status: number }>, requestId: string): Answer {
  const type = fault.status >= 500 ? "api_error" : "invalid_request_error";
  const code = "code" in fault ? fault.code : fault.status === 429 ? "rate_limit" : undefined;
  const message = fault.message ?? "An unknown error occurred";
  const error = new ApiError(fault.status, type, message, code ? { code } : {});
  return { status: fault.status, body: JSON.stringify(error.body(requestId)), errorCode: code ?? null };
}

/** Stripe keeps the answers of requests that got as far as running: successes, declines, its own failures. */
function isKept(status: number): boolean {
  return status < 300 || status === 402 || status >= 500;
}

/** Run a handler and turn what it returns or throws into an answer, once. */
function perform(
  parts: AppParts,
  world: World,
  handler: Handler,
  params: Params,
  path: Record<string, string>,
  request: CurrentRequest,
): Answer {
  try {
    const answer = transact(world, request, () => handler({ world, params, path }));
    const body = expanded(world, parts.includable, answer, params.strings("expand"));
    return { status: 200, body: JSON.stringify(body, null, 2), errorCode: null };
  } catch (error) {
    if (!(error instanceof ApiError)) {
      parts.log(`bug in the local Stripe: ${error instanceof Error ? error.stack : String(error)}`);
    }
    const known =
      error instanceof ApiError
        ? error
        : new ApiError(500, "api_error", `Local Stripe failed: ${String(error)}`);
    const errorCode = known.details.code ?? known.type;
    return { status: known.status, body: JSON.stringify(known.body(request.id), null, 2), errorCode };
  }
}

/** The whole API as one Hono application. */
export function createApp(parts: AppParts): Hono<Env> {
  const app = new Hono<Env>();
  addOverviewPage(app, parts);
  addHostedPages(app, parts);
  addPortalPages(app, parts);
  for (const route of parts.routes) {
    app.on(route.method, route.path, (context) => serve(parts, context, route.handler));
  }
  app.notFound((context) =>
    serve(parts, context, () => {
      throw unknownRoute(context.req.method, context.req.path);
    }),
  );
  return app;
}

async function serve(parts: AppParts, context: Context<Env>, handler: Handler): Promise<Response> {
  const { method, path } = context.req;
  const { world, idempotency } = parts;
  const id = `req_${randomToken(14)}`;
  const key = method === "POST" ? (context.req.header("idempotency-key") ?? null) : null;
  const body = method === "GET" ? "" : await context.req.text();
  const query = new URL(context.req.url).search.slice(1);
  const entry = world.ledger.recordRequest({
    id,
    at: Date.now(),
    method,
    path,
    idempotencyKey: key,
    account: context.req.header("stripe-account") ?? null,
    status: null,
    errorCode: null,
    replayed: false,
    ignored: [],
  });
  let fault: FaultAction | undefined;
  let begun = false;
  let asked = world;
  try {
    authenticate(context.req.header("authorization"), parts.apiKey);
    asked = worldOf(parts, context.req.header("stripe-account"));
    if (key !== null) {
      const stored = idempotency.begin(key, method, path, body, world.wallSeconds());
      if (stored) {
        entry.replayed = true;
        return reply(parts, entry, { ...stored, errorCode: null }, key, {
          "idempotent-replayed": "true",
          "original-request": stored.requestId,
        });
      }
      begun = true;
    }
    fault = parts.faults.take(method, path);
    if (fault?.kind === "reset") {
      if (key !== null) idempotency.finish(key, world.wallSeconds(), null);
      return cut(context);
    }
    if (fault?.kind === "hang") {
      if (key !== null) idempotency.finish(key, world.wallSeconds(), null);
      return await new Promise<never>(() => {});
    }
    if (fault?.kind === "delay") await pause(fault.milliseconds);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const errorCode = error.details.code ?? error.type;
    return reply(
      parts,
      entry,
      { status: error.status, body: JSON.stringify(error.body(id)), errorCode },
      key,
    );
  }

  let answer: Answer;
  if (fault?.kind === "error") answer = faultAnswer(fault, id);
  else {
    const given: FormHash = { ...decodeForm(query), ...decodeForm(body) };
    const params = new Params(given);
    answer = perform(parts, asked, handler, params, context.req.param() as Record<string, string>, {
      id,
      idempotencyKey: key,
      apiVersion: context.req.header("stripe-version") ?? world.settings.defaultVersion,
    });
    if (answer.status === 200) entry.ignored = params.unread();
    if (entry.ignored.length > 0) parts.log(`${method} ${path} ignored ${entry.ignored.join(", ")}`);
    if (fault?.kind === "error-after-effect") answer = faultAnswer(fault, id);
  }
  if (begun && key !== null) {
    idempotency.finish(key, world.wallSeconds(), isKept(answer.status) ? { ...answer, requestId: id } : null);
  }
  if (method !== "GET") parts.onChange();
  if (fault?.kind === "reset-after-effect") return cut(context);
  if (fault?.kind === "slow-answer") await pause(fault.milliseconds);
  return reply(parts, entry, answer, key, fault?.kind === "error" ? fault.headers : {});
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function reply(
  parts: AppParts,
  entry: LedgerRequest,
  answer: Answer,
  key: string | null,
  headers: Record<string, string> = {},
): Response {
  entry.status = answer.status;
  entry.errorCode = answer.errorCode;
  return new Response(answer.body, {
    status: answer.status,
    headers: {
      "content-type": "application/json",
      // Answers are as old as the clock events go by, or nobody could tell which is newer.
      date: new Date(parts.world.wallSeconds() * 1000).toUTCString(),
      "request-id": entry.id,
      "stripe-version": parts.world.apiVersion,
      ...(key === null ? {} : { "idempotency-key": key }),
      ...headers,
    },
  });
}
