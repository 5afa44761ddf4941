import { Agent, type IncomingMessage, request, type ServerResponse } from "node:http";
import { verify } from "hono/jwt";
import { localKeys } from "../keys.ts";
import type { EdgeFunctions } from "./edge-functions.ts";

/** Requests that come while a function is being restarted wait this long, in milliseconds. */
const patience = 5_000;

const prefix = "/functions/v1";
const agent = new Agent({ keepAlive: true });

/** Whether a request is for a function. */
export function isFunctionPath(path: string): boolean {
  return path.startsWith(`${prefix}/`);
}

/**
 * Hands a request to its function and the answer back, both as they stream by: the function gets the very bytes
 * that were signed. It sees the path without /functions/v1, as on the platform.
 */
export async function proxyToFunction(
  functions: EdgeFunctions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const path = (incoming.url ?? "").slice(prefix.length);
  const name = /^\/([^/?#]+)/.exec(path)?.[1] ?? "";
  const target = functions.get(name);
  if (!target) return refuse(outgoing, 404, "NOT_FOUND", "Requested function was not found");
  if (target.source.verifyJwt && incoming.method !== "OPTIONS") {
    const problem = await tokenProblem(incoming.headers.authorization);
    if (problem) return refuse(outgoing, 401, problem.code, problem.message);
  }
  const entered = await target.enter(patience);
  if (entered === undefined) {
    return refuse(outgoing, 503, "BOOT_ERROR", "Function failed to start (please check logs)");
  }
  const upstream = request({
    host: "127.0.0.1",
    port: entered.port,
    path,
    method: incoming.method,
    headers: { ...incoming.headers, "x-forwarded-for": incoming.socket.remoteAddress ?? "" },
    agent,
  });
  upstream.once("close", entered.leave);
  upstream.once("response", (response) => {
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
    response.once("error", () => outgoing.destroy());
    response.once("end", () => {
      if (incoming.readableEnded) return;
      // The function did not wait for the rest. Left unread, it would block the connection's next request.
      incoming.unpipe(upstream);
      incoming.resume();
      upstream.destroy();
    });
  });
  upstream.on("error", () => {
    // Once it answers, an error is of the request's rest, which the function did not wait for.
    if (!outgoing.headersSent) refuse(outgoing, 503, "WORKER_ERROR", "Function exited before it answered");
  });
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) upstream.destroy();
  });
  incoming.pipe(upstream);
}

/** Platform functions accept a user's access token here; the sb_ keys are no tokens, there or here. */
async function tokenProblem(
  header: string | undefined,
): Promise<{ code: string; message: string } | undefined> {
  if (!header) return { code: "UNAUTHORIZED_NO_AUTH_HEADER", message: "Missing authorization header" };
  const token = /^Bearer (\S+)$/i.exec(header)?.[1];
  try {
    await verify(token ?? "", localKeys.jwtSecret, "HS256");
    return undefined;
  } catch {
    return { code: "UNAUTHORIZED_INVALID_JWT_FORMAT", message: "Invalid JWT" };
  }
}

function refuse(outgoing: ServerResponse, status: number, code: string, message: string): void {
  if (outgoing.destroyed) return;
  outgoing.writeHead(status, {
    "content-type": "application/json",
    "sb-error-code": code,
    ...(status === 503 ? { "retry-after": "1" } : {}),
    connection: "close",
  });
  outgoing.end(JSON.stringify({ code, message }));
}
