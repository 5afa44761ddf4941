import type { Route as AnyRoute } from "../../service/route.ts";
import type { World } from "../core/world.ts";
import type { Params } from "./params.ts";

/** One API call, as a handler sees it. */
export interface Call {
  world: World;
  params: Params;
  /** The `:name` parts of the path. */
  path: Record<string, string>;
}

/** Does what the call asks and returns the object to answer with. Runs to its end undisturbed by other calls. */
export type Handler = (call: Call) => object;

export type Route = AnyRoute<Handler>;

/** The `:id` of a route that has one. */
export function idOf(call: Call): string {
  return call.path.id ?? "";
}
