import { parse as parseKeepingText, patch } from "@decimalturn/toml-patch";
import { parse, TomlError } from "smol-toml";
import { Refusal } from "../terminal.ts";

/** Where the project's settings are, from its root. */
export const CONFIG_FILE = "supabase/config.toml";

/** What the Supabase CLI exposes where `[api]` does not say. */
const DEFAULT_SCHEMAS = ["public", "graphql_public"];

/** The schema of ours that the Data API shows. */
export const EXPOSED_SCHEMA = "billing";

/** One `[functions.<slug>]` of ours. */
export interface ConfigSection {
  slug: string;
  /** Its lines, with the comment above it; each ends with a newline. */
  text: string;
}

/** The parts of config.toml that matter here. */
export interface ProjectConfig {
  api?: { enabled?: boolean; schemas?: string[] };
  db?: { major_version?: number };
  functions?: Record<string, { verify_jwt?: boolean }>;
}

const BEGIN =
  "# Duebase's functions: `duebase upgrade` and `duebase uninstall` find them by this line and the last one.";
const END = "# The end of Duebase's functions.";

/**
 * Reads config.toml.
 *
 * @throws Refusal where it does not parse, with the place
 */
export function readConfig(text: string): ProjectConfig {
  try {
    return parse(text) as ProjectConfig;
  } catch (error) {
    const place = error instanceof TomlError ? `line ${error.line}, column ${error.column}` : "it";
    const [problem] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Refusal(
      `${CONFIG_FILE} does not parse: ${place}: ${problem?.replace(/^Invalid TOML document: /, "")}`,
      "Put it right first; `npx supabase status` reads the same file.",
      { cause: error },
    );
  }
}

/** Our own sections in the package's config.toml, each with the comment that stands above it or above its group. */
export function readSections(text: string): ConfigSection[] {
  const found = text.matchAll(
    /(?<comment>(?:^#.*\n)*)^\[functions\.(?<slug>duebase-[a-z-]+)\]\n(?<body>(?:^(?![[#]).+\n?)*)/gm,
  );
  return [...found].map(({ groups }) => ({
    slug: groups?.slug ?? "",
    text: `${groups?.comment}[functions.${groups?.slug}]\n${groups?.body?.trimEnd()}\n`,
  }));
}

/**
 * config.toml with our sections at its end and our schema among the exposed ones. Everything that was there stays as it
 * is, comments and order included.
 *
 * @throws Refusal where the file is written in a way to which they cannot be added
 */
export function addToConfig(text: string, sections: readonly ConfigSection[]): string {
  const config = readConfig(text);
  const eol = newlineOf(text);
  const schemas = config.api?.schemas ?? DEFAULT_SCHEMAS;
  let changed = text;
  if (!schemas.includes(EXPOSED_SCHEMA)) {
    const all = [...schemas, EXPOSED_SCHEMA];
    changed = (config.api?.schemas === undefined && withOwnLine(text, eol)) || withSchemas(text, all);
  }
  changed += eol + block(sections, eol);
  const expected: ProjectConfig = structuredClone(config);
  expected.api = { ...expected.api, schemas: [...new Set([...schemas, EXPOSED_SCHEMA])] };
  expected.functions = { ...expected.functions, ...valuesOf(sections) };
  refuseUnlessEqual(changed, expected);
  return changed;
}

/**
 * The same with our sections replaced by those of another release.
 *
 * @throws Refusal as addToConfig does
 */
export function replaceSections(
  text: string,
  installed: readonly string[],
  sections: readonly ConfigSection[],
): string {
  const without = withoutSections(text, installed);
  return addToConfig(without, sections);
}

/**
 * config.toml as it was before: our sections and our schema are taken away, nothing else changes.
 *
 * @param installed what the lock file says was added
 */
export function removeFromConfig(
  text: string,
  installed: {
    sections: readonly string[];
    schemas: readonly string[];
    hadSchemas: boolean;
    hadApi: boolean;
  },
): string {
  const without = withoutSections(text, installed.sections);
  const schemas = readConfig(without).api?.schemas;
  if (schemas === undefined || installed.schemas.length === 0) return without;
  const rest = schemas.filter((schema) => !installed.schemas.includes(schema));
  const isDefault = rest.join() === DEFAULT_SCHEMAS.join();
  if (!installed.hadSchemas && installed.hadApi && isDefault) {
    const untouched = withoutOwnLine(without, newlineOf(text));
    if (untouched !== undefined) return untouched;
  }
  return withSchemas(without, installed.hadSchemas || !isDefault ? rest : undefined, installed.hadApi);
}

/** `[functions.<slug>]` of ours that a config has already, whoever wrote them. */
export function ourSlugsIn(config: ProjectConfig): string[] {
  return Object.keys(config.functions ?? {}).filter((slug) => slug.startsWith("duebase-"));
}

/** The line of ours in a table [api] that named no schemas: directly below its header, so that it can be cut out again. */
const OWN_LINE = `schemas = ${JSON.stringify([...DEFAULT_SCHEMAS, EXPOSED_SCHEMA]).replaceAll(",", ", ")}`;
const API_HEADER = /^[ \t]*\[[ \t]*api[ \t]*\][ \t]*(#[^\r\n]*)?$/m;

function withOwnLine(text: string, eol: string): string | undefined {
  const header = API_HEADER.exec(text);
  if (header === null) return undefined;
  const end = header.index + header[0].length;
  return text.slice(0, end) + eol + OWN_LINE + text.slice(end);
}

function withoutOwnLine(text: string, eol: string): string | undefined {
  const header = API_HEADER.exec(text);
  if (header === null) return undefined;
  const end = header.index + header[0].length;
  const line = eol + OWN_LINE;
  const after = text.slice(end + line.length);
  if (!text.startsWith(line, end) || !(after === "" || after.startsWith(eol))) return undefined;
  return text.slice(0, end) + after;
}

function withSchemas(text: string, schemas: string[] | undefined, keepsApi = true): string {
  const value = parseKeepingText(text) as { api?: Record<string, unknown> };
  const api = { ...value.api };
  if (schemas === undefined) delete api.schemas;
  else api.schemas = schemas;
  const { api: _, ...others } = value;
  const next = Object.keys(api).length === 0 && !keepsApi ? others : { ...value, api };
  return patch(text, next);
}

function withoutSections(text: string, slugs: readonly string[]): string {
  const eol = newlineOf(text);
  const begin = text.indexOf(eol + BEGIN);
  const end = text.indexOf(END, begin);
  let rest = text;
  if (begin >= 0 && end >= 0) {
    const after = end + END.length;
    rest = text.slice(0, begin) + text.slice(text.startsWith(eol, after) ? after + eol.length : after);
  }
  // Sections that somebody has put elsewhere since.
  const strays = ourSlugsIn(readConfig(rest)).filter((slug) => slugs.includes(slug));
  if (strays.length === 0) return rest;
  const value = parseKeepingText(rest) as { functions?: Record<string, unknown> };
  const functions = Object.fromEntries(
    Object.entries(value.functions ?? {}).filter(([slug]) => !strays.includes(slug)),
  );
  const { functions: _, ...others } = value;
  return patch(rest, Object.keys(functions).length === 0 ? others : { ...value, functions });
}

function block(sections: readonly ConfigSection[], eol: string): string {
  const text = [BEGIN, ...sections.map((section) => section.text), END, ""].join("\n");
  return text.replaceAll("\n", eol);
}

function valuesOf(sections: readonly ConfigSection[]): NonNullable<ProjectConfig["functions"]> {
  return (parse(sections.map(({ text }) => text).join("\n")) as ProjectConfig).functions ?? {};
}

function newlineOf(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n";
}

/** Whatever the editing of the text did, the file has to mean what was wanted and nothing else. */
function refuseUnlessEqual(text: string, expected: ProjectConfig): void {
  let actual: unknown;
  try {
    actual = parse(text);
  } catch (error) {
    actual = error;
  }
  if (sorted(actual) === sorted(expected)) return;
  throw new Refusal(
    `${CONFIG_FILE} is written in a way to which nothing can be added safely (functions or api as an inline table?).`,
    "Write [api] and each [functions.<slug>] as tables of their own, then run this again.",
  );
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, it) =>
    typeof it === "object" && it !== null && !Array.isArray(it) && !(it instanceof Date)
      ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)))
      : typeof it === "bigint"
        ? Number(it)
        : it,
  );
}
