import { pageAt } from "../../service/page.ts";
import type { TableName, Tables } from "../core/store.ts";
import type { World } from "../core/world.ts";
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

/** The tables that have a list of their own, newest first. */
type Listed = {
  [Name in TableName]: Tables[Name] extends { created: number } ? Name : never;
}[TableName];

/**
 * One page of a kind of object. A cursor may name any object of that kind that exists, whether or not it passes the
 * filter by now: an open invoice is paid between two pages.
 * @param matches which objects are asked for, besides those made in the range that `created` gives
 */
export function pageOfTable<Name extends Listed>(
  world: World,
  name: Name,
  params: Params,
  url: string,
  matches: (object: Tables[Name]) => boolean,
): ListPage<Tables[Name]> {
  const cursor = params.text("starting_after") ?? params.text("ending_before");
  const created = timeFilter(params, "created");
  // The cursor itself is on no page: it only says where one begins.
  const found = world.store.where(
    name,
    (it) => it.id === cursor || (created((it as { created: number }).created) && matches(it)),
  );
  return pageOf(newestFirst(found as (Tables[Name] & { created: number })[]), params, url);
}

function isOldestFirst(objects: { created?: number }[]): boolean {
  return objects.every((it, index) => (objects[index - 1]?.created ?? 0) <= (it.created ?? 0));
}

/** The newest first; of two made in the same second, the later made. */
export function newestFirst<T extends { created?: number }>(objects: T[]): T[] {
  if (isOldestFirst(objects)) return [...objects].reverse();
  return objects
    .map((object, index) => ({ object, index }))
    .sort(
      (left, right) => (right.object.created ?? 0) - (left.object.created ?? 0) || right.index - left.index,
    )
    .map(({ object }) => object);
}
