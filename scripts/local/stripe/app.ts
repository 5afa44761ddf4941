import { type Context, Hono } from "hono";
import { asApiError } from "../service/api-error.ts";
import { cut, type Env, hang, idempotencyKeyOf, pause } from "../service/exchange.ts";
import type { Faults } from "../service/faults.ts";
import type { IdempotencyKeys } from "../service/idempotency.ts";
import type { LedgerRequest } from "../service/ledger.ts";
import { addRoutes } from "../service/route.ts";
import { randomToken } from "./core/ids.ts";
import { transact } from "./core/transaction.ts";
import type { CurrentRequest, World } from "./core/world.ts";
import {
  accountInvalid,
  authenticationError,
  permissionMissing,
  rateLimited,
  StripeError,
  unknownRoute,
} from "./http/errors.ts";
import { expanded, type Includable } from "./http/expand.ts";
import type { FaultAction } from "./http/faults.ts";
import { decodeForm, decodeJson, type FormHash } from "./http/form.ts";
import type { Replay } from "./http/idempotency.ts";
import { Params } from "./http/params.ts";
import type { Handler, Route } from "./http/route.ts";
import { addHostedPages } from "./pages/hosted.ts";
import { addOverviewPage } from "./pages/overview.ts";
import { addPortalPages } from "./pages/portal.ts";

export interface AppParts {
  world: World;
  /** Where the world is a connected account's: what is served to whoever does not name it in `Stripe-Account`. */
  platform: World | null;
  routes: Route[];
  includable: Includable;
  idempotency: IdempotencyKeys<Replay>;
  faults: Faults<FaultAction>;
  /** Null accepts any test key. */
  apiKey: string | null;
  /** How many calls were answered in the current second of the process. */
  calls: { second: number; answered: number };
  /** Called after every request that may have changed something. */
  onChange: () => void;
  /** Aborted when the server closes: nobody hangs any longer. */
  closing: AbortSignal;
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

/** A key as messages show it. */
function shownKey(key: string): string {
  return key.length > 12 ? `${key.slice(0, 8)}***${key.slice(-4)}` : "***";
}

function authenticate(header: string | undefined, apiKey: string | null): void {
  const key = keyOf(header);
  const accepted = apiKey === null ? /^(sk|rk)_test_/.test(key) : key === apiKey;
  if (!accepted) throw authenticationError(`Invalid API Key provided: ${shownKey(key)}`);
}

/** Counts the calls of this second, and refuses those that are more than the account has. */
function countCall({ world, calls }: AppParts): void {
  const second = Math.floor(performance.now() / 1000);
  if (calls.second !== second) Object.assign(calls, { second, answered: 0 });
  if (calls.answered >= (world.settings.callsPerSecond ?? Number.POSITIVE_INFINITY)) throw rateLimited();
  calls.answered += 1;
}

/** The account a request is about: the key's own, or the connected one it names. */
function worldOf({ world, platform }: AppParts, named: string | undefined): World {
  const own = platform ?? world;
  if (named === undefined) return own;
  const found = [own, world].find(({ store }) => store.get("account", named));
  if (!found) throw accountInvalid(named);
  return found;
}

function faultAnswer(fault: Extract<FaultAction, { status: number }>, requestId: string): Answer {
  const type = fault.status >= 500 ? "api_error" : "invalid_request_error";
  const code = "code" in fault ? fault.code : fault.status === 429 ? "rate_limit" : undefined;
  const message = fault.message ?? "An unknown error occurred";
  const error = new StripeError(fault.status, type, message, code ? { code } : {});
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
  handle: Handler,
  params: Params,
  path: Record<string, string>,
  request: CurrentRequest,
): Answer {
  try {
    const answer = transact(world, request, () => handle({ world, params, path }));
    const body = expanded(world, parts.includable, answer, params.strings("expand"));
    return { status: 200, body: JSON.stringify(body, null, 2), errorCode: null };
  } catch (error) {
    return answerOf(parts, error, request.id, 2);
  }
}

/** A request's body: a form in the first API, JSON in the second. */
function decoded(path: string, body: string): FormHash {
  return path.startsWith("/v2/") ? decodeJson(body) : decodeForm(body);
}

/** What was thrown, as an answer. `indent` is that of its JSON. */
function answerOf({ log }: AppParts, thrown: unknown, requestId: string, indent?: number): Answer {
  const failure = (message: string) => new StripeError(500, "api_error", `Local Stripe failed: ${message}`);
  const error = asApiError(thrown, "Stripe", log, failure);
  const body = JSON.stringify(error.body(requestId), null, indent);
  return { status: error.status, body, errorCode: error.code };
}

/** The whole API as one Hono application. */
export function createApp(parts: AppParts): Hono<Env> {
  const app = new Hono<Env>();
  addOverviewPage(app, parts);
  addHostedPages(app, parts);
  addPortalPages(app, parts);
  addRoutes(app, parts.routes, (context, handle) => serve(parts, context, handle));
  app.notFound((context) =>
    serve(parts, context, () => {
      throw unknownRoute(context.req.method, context.req.path);
    }),
  );
  return app;
}

async function serve(parts: AppParts, context: Context<Env>, handle: Handler): Promise<Response> {
  const { method, path } = context.req;
  const { world, idempotency } = parts;
  const id = `req_${randomToken(14)}`;
  const key = idempotencyKeyOf(context);
  const body = method === "GET" ? "" : await context.req.text();
  const query = new URL(context.req.url).search.slice(1);
  const entry = world.ledger.recordRequest({
    id,
    method,
    path,
    idempotencyKey: key,
    account: context.req.header("stripe-account") ?? null,
  });
  let fault: FaultAction | undefined;
  let begun = false;
  let asked = world;
  try {
    authenticate(context.req.header("authorization"), parts.apiKey);
    asked = worldOf(parts, context.req.header("stripe-account"));
    if (key !== null) {
      const stored = idempotency.begin(key, [method, path, body], world.wallSeconds());
      if (stored) {
        entry.replayed = true;
        return reply(parts, entry, { ...stored, errorCode: null }, key, {
          "idempotent-replayed": "true",
          "original-request": stored.requestId,
        });
      }
      begun = true;
    }
    countCall(parts);
    fault = parts.faults.take(method, path);
    if (fault?.kind === "forbidden") {
      const account = asked.store.all("account")[0]?.id ?? "";
      throw permissionMissing(
        shownKey(keyOf(context.req.header("authorization"))),
        account,
        fault.permission,
      );
    }
    if (fault?.kind === "delay") await pause(fault.milliseconds, parts.closing);
    const isCut = fault?.kind === "reset" || (fault?.kind === "delay" && parts.closing.aborted);
    if (isCut || fault?.kind === "hang") {
      if (key !== null) idempotency.release(key);
      return isCut ? cut(context) : await hang(context, parts.closing);
    }
  } catch (error) {
    if (begun && key !== null) idempotency.release(key);
    return reply(parts, entry, answerOf(parts, error, id), key);
  }

  let answer: Answer;
  if (fault?.kind === "error") answer = faultAnswer(fault, id);
  else {
    const given: FormHash = { ...decodeForm(query), ...decoded(path, body) };
    const params = new Params(given);
    answer = perform(parts, asked, handle, params, context.req.param() as Record<string, string>, {
      id,
      idempotencyKey: key,
      apiVersion: context.req.header("stripe-version") ?? world.settings.defaultVersion,
    });
    if (answer.status === 200) entry.ignored = params.unread();
    if (entry.ignored.length > 0) parts.log(`${method} ${path} ignored ${entry.ignored.join(", ")}`);
    if (fault?.kind === "error-after-effect") answer = faultAnswer(fault, id);
  }
  if (begun && key !== null) {
    const replay = { status: answer.status, body: answer.body, requestId: id };
    if (isKept(answer.status)) idempotency.keep(key, replay, world.wallSeconds());
    else idempotency.release(key);
  }
  if (method !== "GET") parts.onChange();
  if (fault?.kind === "reset-after-effect") return cut(context);
  if (fault?.kind === "slow-answer") await pause(fault.milliseconds, parts.closing);
  return reply(parts, entry, answer, key, fault?.kind === "error" ? fault.headers : {});
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
