import type { JsonObject } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest } from "./errors.ts";

/** Fields that are only there when asked for, and how they are made, by `object.field`. */
export type Includable = Record<string, (world: World, owner: JsonObject) => unknown>;

function isHash(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function copyOf(value: unknown): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

/** Expand one path (`data.customer`, `latest_invoice.payments`) inside an answer, in place. */
function expandPath(
  world: World,
  includable: Includable,
  owner: JsonObject,
  path: string[],
  whole: string,
): void {
  const [field, ...rest] = path;
  if (field === undefined) return;
  const include = includable[`${String(owner.object)}.${field}`];
  if (include && (owner[field] === undefined || owner[field] === null)) {
    const value = include(world, owner);
    owner[field] = value === null ? null : copyOf(value);
  }
  if (!(field in owner)) {
    const message = `This property cannot be expanded (${whole}).`;
    throw invalidRequest(message, { param: "expand" });
  }
  const value = owner[field];
  if (typeof value === "string") {
    const found = world.store.find(value);
    if (!found) {
      throw invalidRequest(`This property cannot be expanded (${whole}).`, { param: "expand" });
    }
    owner[field] = copyOf(found);
  }
  if (Array.isArray(value)) {
    owner[field] = value.map((element) => {
      if (typeof element !== "string") return element;
      const found = world.store.find(element);
      return found ? copyOf(found) : element;
    });
  }
  const inner = owner[field];
  for (const child of Array.isArray(inner) ? inner : [inner]) {
    if (isHash(child)) expandPath(world, includable, child, rest, whole);
  }
}

/**
 * Replace references by the objects they name, as `expand[]` asks; the stored objects are left alone.
 * @returns a copy of the answer, ready to be sent
 */
export function expanded(
  world: World,
  includable: Includable,
  answer: object,
  paths: string[] = [],
): JsonObject {
  const copy = copyOf(answer);
  for (const path of paths) expandPath(world, includable, copy, path.split("."), path);
  return copy;
}
