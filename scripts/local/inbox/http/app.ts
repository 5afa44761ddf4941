import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { asApiError } from "../../service/api-error.ts";
import { closed, cut, type Env, hang, idempotencyKeyOf, pause } from "../../service/exchange.ts";
import type { Faults } from "../../service/faults.ts";
import type { IdempotencyKeys } from "../../service/idempotency.ts";
import type { LedgerRequest } from "../../service/ledger.ts";
import { addRoutes } from "../../service/route.ts";
import type { Ledger } from "../core/ledger.ts";
import { notFound, ResendError } from "./errors.ts";
import type { FaultAction } from "./faults.ts";
import { checkKey, type KeptAnswer, type Replay } from "./idempotency.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Handler, Route } from "./route.ts";

export interface AppParts {
  /** Where the API hangs under the inbox's own URL. */
  basePath: string;
  routes: Route[];
  ledger: Ledger;
  faults: Faults<FaultAction>;
  keys: IdempotencyKeys<Replay>;
  limit: RateLimit;
  now: () => Date;
  /** Null accepts any key of Resend's form. */
  apiKey: string | null;
  /** Keys that may send and do nothing else. */
  sendingKeys: readonly string[];
  /** Called with each answer that is from now on given again under its key. */
  onKept: (answer: KeptAnswer) => void;
  /** Aborted when the inbox closes: nobody hangs any longer. */
  closing: AbortSignal;
  log: (line: string) => void;
}

/** A request on its way through. */
interface Passage {
  parts: AppParts;
  context: Context<Env>;
  entry: LedgerRequest;
  /** Rate limit headers, once it has been counted. */
  headers: Record<string, string>;
  fault: FaultAction | undefined;
}

const jsonType = { "content-type": "application/json" };

/** The whole API as one Hono application. */
export function createApp(parts: AppParts): Hono<Env> {
  const app = new Hono<Env>().basePath(parts.basePath);
  addRoutes(app, parts.routes, (context, handle) => serve(parts, context, handle));
  for (const path of new Set(parts.routes.map((route) => route.path))) {
    app.all(path, (context) =>
      serve(parts, context, () => {
        const message = `Method ${context.req.method} is not allowed for ${path}.`;
        throw new ResendError(405, "method_not_allowed", message);
      }),
    );
  }
  // Not notFound(): with a base path Hono answers for the whole server there.
  app.all("/*", (context) =>
    serve(parts, context, () => {
      throw notFound("Endpoint");
    }),
  );
  return app;
}

/** Whether a key with sending access may ask for this. */
function isSending(method: string, path: string): boolean {
  return method === "POST" && /^\/emails(\/batch)?$/.test(path);
}

function authenticate(header: string | undefined, { apiKey, sendingKeys }: AppParts, isSend: boolean): void {
  const key = /^Bearer (\S+)$/i.exec(header ?? "")?.[1];
  if (key === undefined) {
    throw new ResendError(401, "missing_api_key", "Missing API key in the authorization header.");
  }
  if (sendingKeys.includes(key)) {
    if (isSend) return;
    throw new ResendError(401, "restricted_api_key", "This API key is restricted to only send emails");
  }
  const accepted = apiKey === null ? key.startsWith("re_") : key === apiKey;
  if (!accepted) throw new ResendError(403, "invalid_api_key", "API key is invalid.");
}

async function serve(parts: AppParts, context: Context<Env>, handle: Handler): Promise<Response> {
  const { method } = context.req;
  const path = context.req.path.slice(parts.basePath.length);
  const idempotencyKey = idempotencyKeyOf(context);
  const entry = parts.ledger.recordRequest({ id: randomUUID(), method, path, idempotencyKey });
  const passage: Passage = { parts, context, entry, headers: {}, fault: undefined };
  try {
    authenticate(context.req.header("authorization"), parts, isSending(method, path));
    const { allowed, headers } = parts.limit.take();
    passage.headers = headers;
    if (!allowed) {
      throw new ResendError(429, "rate_limit_exceeded", "Too many requests: see the rate limit headers.");
    }
    passage.fault = parts.faults.take(method, path);
    return await work(passage, handle);
  } catch (error) {
    return refuse(passage, error);
  }
}

/** Do the work, unless it was done before, in whichever way the fault wants it to go wrong. */
async function work(passage: Passage, handle: Handler): Promise<Response> {
  const { parts, context, entry, fault } = passage;
  const { idempotencyKey: key } = entry;
  if (fault?.kind === "error") return refuse(passage, faultError(fault), fault);
  if (fault?.kind === "reset") return cut(context);
  const body = entry.method === "POST" || entry.method === "PATCH" ? await context.req.text() : "";
  if (key !== null) checkKey(key);
  const kept = key === null ? undefined : parts.keys.begin(key, [entry.path, body], parts.now().getTime());
  let answer = kept?.body;
  try {
    if (fault?.kind === "delay") await pause(fault.milliseconds, parts.closing);
    if (fault?.kind === "wait") await Promise.race([fault.until, closed(parts.closing)]);
    if (fault?.kind === "hang") return await hang(context, parts.closing);
    if (parts.closing.aborted) return cut(context);
    answer ??= JSON.stringify(
      await handle({
        id: entry.id,
        path: context.req.param() as Record<string, string>,
        query: new URL(context.req.url).searchParams,
        body,
        idempotencyKey: key,
        header: (name) => context.req.header(name),
        ignore: (fields) => entry.ignored.push(...fields),
      }),
    );
    if (key !== null && !kept) {
      const newlyKept = parts.keys.keep(key, { body: answer }, parts.now().getTime());
      if (newlyKept) parts.onKept(newlyKept);
    }
  } finally {
    if (key !== null && !kept) parts.keys.release(key);
  }
  if (entry.ignored.length > 0)
    parts.log(`${entry.method} ${entry.path} ignored ${entry.ignored.join(", ")}`);
  entry.replayed = kept !== undefined;
  if (fault?.kind === "reset-after-effect") return cut(context);
  if (fault?.kind === "hang-after-effect") return hang(context, parts.closing);
  if (fault?.kind === "error-after-effect") return refuse(passage, faultError(fault));
  entry.status = 200;
  return new Response(answer, { status: 200, headers: { ...jsonType, ...passage.headers } });
}

function faultError(fault: Extract<FaultAction, { status: number }>): ResendError {
  const usual = fault.status === 429 ? "rate_limit_exceeded" : "internal_server_error";
  const message = fault.message ?? "An unexpected error occurred.";
  return new ResendError(fault.status, fault.name ?? usual, message);
}

/** Turn whatever was thrown into an answer, once. */
function refuse(
  { parts, entry, headers }: Passage,
  error: unknown,
  fault: { headers?: Record<string, string>; body?: string } = {},
): Response {
  const failure = (message: string) => new ResendError(500, "application_error", message);
  const known = asApiError(error, "inbox", parts.log, failure);
  entry.status = known.status;
  entry.errorCode = known.code;
  return new Response(fault.body ?? JSON.stringify(known.body(entry.id)), {
    status: known.status,
    headers: { ...jsonType, ...headers, ...fault.headers },
  });
}
