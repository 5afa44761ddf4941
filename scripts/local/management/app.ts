import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { asApiError } from "../service/api-error.ts";
import { cut, type Env, hang, pause } from "../service/exchange.ts";
import type { ConnectionFault, Faults } from "../service/faults.ts";
import type { LedgerRequest, RequestLedger } from "../service/ledger.ts";
import { addRoutes, del, get, patch, post, type Route } from "../service/route.ts";
import { badRequest, forbidden, ManagementApiError, notFound, unauthorized } from "./errors.ts";
import type { HostedProject } from "./project.ts";

/** What goes wrong: an answer in place of the work, or after it, besides what can go wrong with any server. */
export type FaultAction =
  | ConnectionFault
  | { kind: "error"; status: number; message?: string; headers?: Record<string, string> }
  | { kind: "error-after-effect"; status: number; message?: string };

/** Permissions of a scoped token, by Supabase's own names. */
export type Permission =
  | "project_admin_read"
  | "edge_functions_read"
  | "edge_functions_write"
  | "edge_functions_secrets_read"
  | "edge_functions_secrets_write"
  | "data_api_config_read"
  | "data_api_config_write"
  | "api_gateway_keys_read"
  | "api_gateway_keys_secret_read";

export interface AppParts {
  project: HostedProject;
  faults: Faults<FaultAction>;
  ledger: RequestLedger;
  accessToken: string;
  /** What the token may do; may be changed at any time. */
  permissions: Set<Permission>;
  apiKeys: { publishable: string; secret: string };
  closing: AbortSignal;
  log: (line: string) => void;
}

interface Call {
  project: HostedProject;
  body: unknown;
  path: Record<string, string>;
  query: URLSearchParams;
  parts: AppParts;
}

/** What a route does, which permission it asks for, and its status when it is done. */
interface Handler {
  needs: Permission;
  status: number;
  work: (call: Call) => unknown;
}

const handler = (needs: Permission, status: number, work: Handler["work"]): Handler => ({
  needs,
  status,
  work,
});

const routes: Route<Handler>[] = [
  get(
    "",
    handler("project_admin_read", 200, ({ project }) => project.shown()),
  ),
  get(
    "/functions",
    handler("edge_functions_read", 200, ({ project }) => project.shownFunctions()),
  ),
  del(
    "/functions/:slug",
    handler("edge_functions_write", 200, ({ project, path }) => project.remove(path.slug ?? "")),
  ),
  get(
    "/secrets",
    handler("edge_functions_secrets_read", 200, ({ project }) => project.shownSecrets()),
  ),
  post(
    "/secrets",
    handler("edge_functions_secrets_write", 201, ({ project, body }) => project.setSecrets(body)),
  ),
  del(
    "/secrets",
    handler("edge_functions_secrets_write", 200, ({ project, body }) => project.removeSecrets(body)),
  ),
  get(
    "/postgrest",
    handler("data_api_config_read", 200, ({ project }) => project.dataApi()),
  ),
  patch(
    "/postgrest",
    handler("data_api_config_write", 200, ({ project, body }) => project.configureDataApi(body)),
  ),
  get("/api-keys", handler("api_gateway_keys_read", 200, shownKeys)),
].map((route) => ({ ...route, path: `/v1/projects/:ref${route.path}` }));

/** A secret key is shown whole to whoever asks for it and may; else its beginning. */
function shownKeys({ parts, query }: Call): object[] {
  const isRevealed = query.get("reveal") === "true";
  if (isRevealed && !parts.permissions.has("api_gateway_keys_secret_read")) throw forbidden();
  const { publishable, secret } = parts.apiKeys;
  return [
    { name: "default", type: "publishable", api_key: publishable },
    { name: "default", type: "secret", api_key: isRevealed ? secret : `${secret.slice(0, 12)}···` },
  ];
}

/** The API as one Hono application. */
export function createApp(parts: AppParts): Hono<Env> {
  const app = new Hono<Env>();
  addRoutes(app, routes, (context, route) => serve(parts, context, route));
  app.notFound((context) => serve(parts, context, null));
  return app;
}

async function serve(parts: AppParts, context: Context<Env>, route: Handler | null): Promise<Response> {
  const { method, path } = context.req;
  const entry = parts.ledger.recordRequest({ id: randomUUID(), method, path, idempotencyKey: null });
  const text = method === "GET" ? "" : await context.req.text();
  let fault: FaultAction | undefined;
  try {
    if (context.req.header("authorization") !== `Bearer ${parts.accessToken}`) throw unauthorized();
    if (route === null) throw notFound(`Cannot ${method} ${path}`);
    if (context.req.param("ref") !== parts.project.ref) throw notFound("Project");
    if (!parts.permissions.has(route.needs)) throw forbidden();
    fault = parts.faults.take(method, path);
    if (fault?.kind === "reset") return cut(context);
    if (fault?.kind === "hang") return await hang(context, parts.closing);
    if (fault?.kind === "error") return refuse(entry, faultError(fault), fault.headers);
    if (fault?.kind === "delay") await pause(fault.milliseconds, parts.closing);
    const answer = await route.work({
      project: parts.project,
      body: text === "" ? null : parsed(text),
      path: context.req.param() as Record<string, string>,
      query: new URL(context.req.url).searchParams,
      parts,
    });
    if (fault?.kind === "reset-after-effect") return cut(context);
    if (fault?.kind === "error-after-effect") return refuse(entry, faultError(fault));
    entry.status = route.status;
    return answered(route.status, answer);
  } catch (error) {
    const failure = (message: string) => new ManagementApiError(500, message);
    const refused = asApiError(error, "Management API", parts.log, failure);
    return refuse(entry, refused as ManagementApiError);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest("The body is no JSON.");
  }
}

function faultError(fault: { status: number; message?: string }): ManagementApiError {
  const tooMany = "ThrottlerException: Too Many Requests";
  return new ManagementApiError(fault.status, fault.message ?? (fault.status === 429 ? tooMany : "Error"));
}

function refuse(entry: LedgerRequest, error: ManagementApiError, headers = {}): Response {
  entry.status = error.status;
  entry.errorCode = error.code;
  return answered(error.status, error.body(), headers);
}

function answered(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(body === undefined ? null : JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/json",
      "x-ratelimit-limit": "120",
      "x-ratelimit-remaining": status === 429 ? "0" : "119",
      "x-ratelimit-reset": "60",
      ...headers,
    },
  });
}
