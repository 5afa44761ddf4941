import type { World } from "../core/world.ts";
import type { Params } from "./params.ts";

export type Method = "GET" | "POST" | "DELETE";

/** One API call, as a handler sees it. */
export interface Call {
  world: World;
  params: Params;
  /** The `:name` parts of the path. */
  path: Record<string, string>;
}

/** Does what the call asks and returns the object to answer with. Runs to its end undisturbed by other calls. */
export type Handler = (call: Call) => object;

export interface Route {
  method: Method;
  path: string;
  handler: Handler;
}

export function get(path: string, handler: Handler): Route {
  return { method: "GET", path, handler };
}

export function post(path: string, handler: Handler): Route {
  return { method: "POST", path, handler };
}

export function del(path: string, handler: Handler): Route {
  return { method: "DELETE", path, handler };
}

/** The `:id` of a route that has one. */
export function idOf(call: Call): string {
  return call.path.id ?? "";
}
