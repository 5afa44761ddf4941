import type { Json, JsonObject } from "./wire.ts";

function isHash(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function same(left: Json, right: Json): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

/**
 * `previous_attributes` as Stripe writes them: the old values of what changed, hashes reduced to their changed
 * keys, a key that is new as null, lists whole.
 * @returns undefined if nothing changed
 */
export function previousAttributes(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const previous: JsonObject = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[key];
    const current = after[key];
    if (same(old, current)) continue;
    if (isHash(old) && isHash(current)) {
      previous[key] = old.object === "list" ? { data: old.data } : previousAttributes(old, current);
    } else previous[key] = old ?? null;
  }
  return Object.keys(previous).length === 0 ? undefined : previous;
}
