import { pageAt } from "../../service/page.ts";
import { invalidRequest, resourceMissing } from "./errors.ts";
import type { Params } from "./params.ts";

export interface ListPage<T> {
  object: "list";
  data: T[];
  has_more: boolean;
  url: string;
}

/** `limit`, from 1 to 100, 10 where it is absent. */
function limitOf(params: Params): number {
  const limit = params.integer("limit") ?? 10;
  if (limit < 1 || limit > 100) {
    throw invalidRequest("This value must be between 1 and 100 (inclusive).", { param: "limit" });
  }
  return limit;
}

/**
 * One page out of a whole list.
 * @param all newest first, as Stripe lists
 */
export function pageOf<T extends { id: string }>(all: T[], params: Params, url: string): ListPage<T> {
  const limit = limitOf(params);
  const after = params.text("starting_after") ?? null;
  const before = params.text("ending_before") ?? null;
  if (after !== null && before !== null) {
    throw invalidRequest("You may only specify one of these parameters: ending_before, starting_after.");
  }
  const page = pageAt(all, { after, before, limit }, (cursor) => {
    const param = before === null ? "starting_after" : "ending_before";
    return resourceMissing("object", cursor, param);
  });
  return { object: "list", ...page, url };
}

/** `created`, `due_date` and such: a time, or `gt`, `gte`, `lt`, `lte`. */
export function timeFilter(params: Params, name: string): (value: number | null) => boolean {
  const raw = params.raw(name);
  if (raw === undefined) return () => true;
  if (typeof raw === "string") {
    const exact = params.integer(name);
    return (value) => value === exact;
  }
  const range = params.child(name);
  const [gt, gte, lt, lte] = ["gt", "gte", "lt", "lte"].map((bound) => range?.integer(bound) ?? null);
  return (value) =>
    value !== null &&
    (gt == null || value > gt) &&
    (gte == null || value >= gte) &&
    (lt == null || value < lt) &&
    (lte == null || value <= lte);
}

/** The newest first; of two made in the same second, the later made. */
export function newestFirst<T extends { created?: number }>(objects: T[]): T[] {
  return objects
    .map((object, index) => ({ object, index }))
    .sort(
      (left, right) => (right.object.created ?? 0) - (left.object.created ?? 0) || right.index - left.index,
    )
    .map(({ object }) => object);
}
