import type { IncomingMessage, RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import type { Api, Fetch } from "./api/data-api.ts";
import { serveStudioAssets } from "./api/studio-assets.ts";
import type { EdgeFunctions } from "./functions/edge-functions.ts";
import { isFunctionPath, proxyToFunction } from "./functions/proxy.ts";
import type { Env } from "./service/exchange.ts";

/** The API's origin: /rest/v1, /auth/v1 and /functions/v1, as on a project's own domain. */
export function apiGateway(api: Api, functions: EdgeFunctions): RequestListener {
  const app = new Hono<Env>()
    .all("/rest/v1/*", (context) => api.rest(context.req.raw, peerOf(context.env.incoming)))
    .all("/auth/v1/*", (context) => api.auth(context.req.raw, peerOf(context.env.incoming)))
    .notFound((context) => context.json({ message: "no Route matched with those values" }, 404));
  const listener = getRequestListener(app.fetch);
  return (incoming, outgoing) => {
    if (isFunctionPath(incoming.url ?? "")) void proxyToFunction(functions, incoming, outgoing);
    else void listener(incoming, outgoing);
  };
}

/** Studio's origin: its page, its assets, and the API it uses from there. */
export function studioGateway(studio: Fetch): RequestListener {
  const app = new Hono<Env>()
    .get("/static/*", (context) => serveStudioAssets(context.req.path))
    .all("*", (context) => studio(context.req.raw, peerOf(context.env.incoming)));
  return getRequestListener(app.fetch);
}

function peerOf(incoming: IncomingMessage): string | null {
  return incoming.socket.remoteAddress ?? null;
}
