import type { Context, Hono } from "hono";
import type { Env } from "./exchange.ts";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** A path that a server knows, and what does the work there. */
export interface Route<Handler> {
  method: Method;
  path: string;
  handle: Handler;
}

export function get<Handler>(path: string, handle: Handler): Route<Handler> {
  return { method: "GET", path, handle };
}

export function post<Handler>(path: string, handle: Handler): Route<Handler> {
  return { method: "POST", path, handle };
}

export function patch<Handler>(path: string, handle: Handler): Route<Handler> {
  return { method: "PATCH", path, handle };
}

export function del<Handler>(path: string, handle: Handler): Route<Handler> {
  return { method: "DELETE", path, handle };
}

/** Have an application answer at these routes. */
export function addRoutes<Handler>(
  app: Hono<Env>,
  routes: Route<Handler>[],
  serve: (context: Context<Env>, handle: Handler) => Promise<Response>,
): void {
  for (const { method, path, handle } of routes) app.on(method, path, (context) => serve(context, handle));
}
