/** What Stripe's form encoding can say: a string, a list, or a hash of these. */
export type FormValue = string | FormValue[] | FormHash;
export interface FormHash {
  [key: string]: FormValue;
}

/** Split `items[0][price]` into `items`, `0`, `price`; `expand[]` ends in an empty segment. */
function segmentsOf(name: string): string[] {
  const bracket = name.indexOf("[");
  if (bracket === -1) return [name];
  const inner = name.slice(bracket + 1).replace(/\]$/, "");
  return [name.slice(0, bracket), ...inner.split("][")];
}

function place(target: FormHash, segments: string[], value: string): void {
  let hash = target;
  segments.forEach((segment, index) => {
    // An empty segment (`expand[]`) appends.
    const key = segment === "" ? String(Object.keys(hash).length) : segment;
    if (index === segments.length - 1) {
      hash[key] = value;
      return;
    }
    const next = hash[key];
    const child: FormHash = typeof next === "object" && !Array.isArray(next) ? next : {};
    hash[key] = child;
    hash = child;
  });
}

/** Hashes whose keys are all whole numbers are lists, in the order of those numbers. */
function listsOf(value: FormValue): FormValue {
  if (typeof value === "string" || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  if (keys.length > 0 && keys.every((key) => /^\d+$/.test(key))) {
    return keys
      .sort((left, right) => Number(left) - Number(right))
      .map((key) => listsOf(value[key] as FormValue));
  }
  return Object.fromEntries(keys.map((key) => [key, listsOf(value[key] as FormValue)]));
}

/**
 * Decode `application/x-www-form-urlencoded` with brackets, as Stripe's SDKs and CLI write it.
 * @param encoded a request body or a query string, without the `?`
 */
export function decodeForm(encoded: string): FormHash {
  const hash: FormHash = Object.create(null);
  for (const [name, value] of new URLSearchParams(encoded)) {
    if (name.includes("__proto__")) continue;
    place(hash, segmentsOf(name), value);
  }
  return Object.fromEntries(Object.entries(hash).map(([key, value]) => [key, listsOf(value)]));
}

/** A JSON body as if it had come as a form; what is no JSON object has no parameters. */
export function decodeJson(encoded: string): FormHash {
  const formOf = (value: unknown): FormValue => {
    if (Array.isArray(value)) return value.map(formOf);
    if (typeof value !== "object" || value === null) return value === null ? "" : String(value);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, formOf(inner)]));
  };
  try {
    const value = formOf(JSON.parse(encoded));
    return typeof value === "string" || Array.isArray(value) ? {} : value;
  } catch {
    return {};
  }
}
