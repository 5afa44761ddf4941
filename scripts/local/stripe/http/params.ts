import { invalidRequest, missingParam } from "./errors.ts";
import type { FormHash, FormValue } from "./form.ts";

/**
 * Reads one request's parameters by name and type, and remembers which were asked for,
 * so that the server can say which ones it was given and ignored.
 * Stripe's empty string means "unset": readers give `null` for it and `undefined` for an absent one.
 */
export class Params {
  private readonly values: FormHash;
  private readonly prefix: string;
  private readonly seen: Set<string>;

  constructor(values: FormHash, prefix = "", seen: Set<string> = new Set()) {
    this.values = values;
    this.prefix = prefix;
    this.seen = seen;
  }

  /** The name as an error shows it: `items[0][price]`. */
  nameOf(name: string): string {
    return this.prefix === "" ? name : `${this.prefix}[${name}]`;
  }

  raw(name: string): FormValue | undefined {
    this.seen.add(this.nameOf(name));
    return Object.hasOwn(this.values, name) ? this.values[name] : undefined;
  }

  /** The same parameters with some others beside them, or in their place. */
  with(values: FormHash): Params {
    return new Params({ ...this.values, ...values }, this.prefix, this.seen);
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** A hash as it was given, to be read later. */
  kept(name: string): FormHash {
    const value = this.raw(name);
    if (value === undefined || typeof value === "string" || Array.isArray(value)) return {};
    this.markAll(value, this.nameOf(name));
    return value;
  }

  private markAll(value: FormValue, name: string): void {
    this.seen.add(name);
    if (typeof value === "string") return;
    for (const [key, inner] of Object.entries(value)) this.markAll(inner, `${name}[${key}]`);
  }

  text(name: string): string | null | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string") {
      throw invalidRequest(`Invalid string: ${JSON.stringify(value)}`, { param: this.nameOf(name) });
    }
    return value === "" ? null : value;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === null) throw missingParam(this.nameOf(name));
    return value;
  }

  integer(name: string): number | null | undefined {
    const value = this.text(name);
    if (typeof value !== "string") return value;
    if (!/^-?\d+$/.test(value)) {
      const details = { code: "parameter_invalid_integer", param: this.nameOf(name) };
      throw invalidRequest(`Invalid integer: ${value}`, details);
    }
    return Number(value);
  }

  number(name: string): number | null | undefined {
    const value = this.text(name);
    if (typeof value !== "string") return value;
    if (value.trim() === "" || !Number.isFinite(Number(value))) {
      throw invalidRequest(`Invalid decimal: ${value}`, { param: this.nameOf(name) });
    }
    return Number(value);
  }

  boolean(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined || value === null) return undefined;
    if (value !== "true" && value !== "false") {
      throw invalidRequest(`Invalid boolean: ${value}`, { param: this.nameOf(name) });
    }
    return value === "true";
  }

  /** A value out of a fixed set. */
  choice<T extends string>(name: string, options: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined || value === null) return undefined;
    const found = options.find((option) => option === value);
    if (found === undefined) {
      const allowed = options.join(", ");
      throw invalidRequest(`Invalid ${name}: must be one of ${allowed}`, { param: this.nameOf(name) });
    }
    return found;
  }

  /** A hash; `null` when it was given as the empty string. */
  child(name: string): Params | null | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (value === "") return null;
    if (typeof value === "string" || Array.isArray(value)) {
      throw invalidRequest("Invalid object", { param: this.nameOf(name) });
    }
    return new Params(value, this.nameOf(name), this.seen);
  }

  /** A list of hashes. */
  children(name: string): Params[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (value === "") return [];
    if (!Array.isArray(value)) throw invalidRequest("Invalid array", { param: this.nameOf(name) });
    return value.map((element, index) => {
      const where = `${this.nameOf(name)}[${index}]`;
      this.seen.add(where);
      if (typeof element === "string" || Array.isArray(element)) {
        throw invalidRequest("Invalid object", { param: where });
      }
      return new Params(element, where, this.seen);
    });
  }

  /** A list of strings. */
  strings(name: string): string[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (value === "") return [];
    const list = Array.isArray(value) ? value : [value];
    return list.map((element, index) => {
      this.seen.add(`${this.nameOf(name)}[${index}]`);
      if (typeof element !== "string") throw invalidRequest("Invalid array", { param: this.nameOf(name) });
      return element;
    });
  }

  /** A hash of strings, as in `metadata`; an empty string for a key unsets it. */
  hash(name: string): Record<string, string> | null | undefined {
    const child = this.child(name);
    if (!child) return child;
    return Object.fromEntries(Object.keys(child.values).map((key) => [key, child.text(key) ?? ""]));
  }

  /** `now` or a Unix time in seconds. */
  time(name: string): number | "now" | null | undefined {
    return this.raw(name) === "now" ? "now" : this.integer(name);
  }

  /** Names that were given. */
  names(): string[] {
    return Object.keys(this.values);
  }

  /** Names that were given and that nothing asked for. */
  unread(): string[] {
    const names: string[] = [];
    const walk = (value: FormValue, name: string): void => {
      if (!this.seen.has(name)) {
        names.push(name);
        return;
      }
      if (typeof value !== "string") {
        // A list's entries are named by their numbers, a hash's by their keys.
        for (const [key, inner] of Object.entries(value)) walk(inner, `${name}[${key}]`);
      }
    };
    for (const [name, value] of Object.entries(this.values)) walk(value, name);
    return names;
  }
}

/**
 * Merge metadata the way Stripe does: keys given replace, keys given empty go, the rest stay;
 * an empty string for the whole hash clears it.
 */
export function mergedMetadata(
  current: Record<string, string> | null,
  change: Record<string, string> | null | undefined,
): Record<string, string> {
  if (change === null) return {};
  const merged = { ...(current ?? {}), ...(change ?? {}) };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ""));
}
