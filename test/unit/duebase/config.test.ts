import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import {
  addToConfig,
  readConfig,
  readSections,
  removeFromConfig,
} from "../../../scripts/duebase/project/config.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { THEIR_CONFIG } from "../../support/existing-project.ts";

const sections = readSections(readFileSync(join(projectRoot, "supabase", "config.toml"), "utf8"));

/** config.toml as teams write it. */
const configs: [name: string, text: string][] = [
  ["with comments, an order and spellings of its own", THEIR_CONFIG],
  ["with Windows line ends", THEIR_CONFIG.replaceAll("\n", "\r\n")],
  ["without a newline at its end", THEIR_CONFIG.trimEnd()],
  ["with schemas on one line", '[api]\nschemas = ["public", "graphql_public"] # why\n\n[db]\nport = 1\n'],
  ["with one schema and no space", '[api]\nschemas=["public"]\n'],
  ["with no schema at all", "[api]\nschemas = []\n"],
  ["with [api] that names no schemas", 'project_id = "x"\n\n[api]\nport = 1 # one\n\n[db]\nport = 2\n'],
  ["without [api]", 'project_id = "x" # the only line\n'],
  ["with dotted keys", 'project_id = "x"\napi.schemas = ["public"]\n'],
  ["of nothing", ""],
];

describe("config.toml", () => {
  test.each(configs)("%s gains our functions and our schema, and nothing else", (_name, text) => {
    const before = readConfig(text);
    const after = readConfig(addToConfig(text, sections));
    const { functions, api, ...others } = after;
    const { functions: theirs = {}, api: theirApi, ...theirOthers } = before;
    expect(others).toEqual(theirOthers);
    expect(api).toEqual({
      ...theirApi,
      schemas: [...(theirApi?.schemas ?? ["public", "graphql_public"]), "billing"],
    });
    expect(Object.keys(functions ?? {}).sort()).toEqual(
      [...Object.keys(theirs), ...sections.map(({ slug }) => slug)].sort(),
    );
    expect(functions).toMatchObject(theirs);
    for (const { slug } of sections) expect(functions?.[slug]).toEqual({ verify_jwt: false });
  });

  test.each(configs)("%s is byte for byte what it was after they are taken away", (_name, text) => {
    const installed = {
      sections: sections.map(({ slug }) => slug),
      schemas: ["billing"],
      hadSchemas: readConfig(text).api?.schemas !== undefined,
    };
    expect(removeFromConfig(addToConfig(text, sections), installed)).toBe(text);
  });

  test("keeps what was changed in it since, wherever it stands", () => {
    const later = addToConfig(THEIR_CONFIG, sections)
      .replace('"app",', '"app", "more",')
      .concat("\n[functions.new]\nverify_jwt = true\n");
    const installed = { sections: sections.map(({ slug }) => slug), schemas: ["billing"], hadSchemas: true };
    expect(removeFromConfig(later, installed)).toBe(
      `${THEIR_CONFIG.replace('"app",', '"app", "more",')}\n[functions.new]\nverify_jwt = true\n`,
    );
  });

  test("loses our sections also where somebody has moved them", () => {
    const moved = `${THEIR_CONFIG}\n${sections.map(({ text }) => text).join("\n")}`;
    const installed = { sections: sections.map(({ slug }) => slug), schemas: ["billing"], hadSchemas: true };
    expect(parse(removeFromConfig(moved, installed))).toEqual(parse(THEIR_CONFIG));
  });

  test("that does not parse is refused with the place", () => {
    expect(() => readConfig("a = 1\nb = \n")).toThrow(/config\.toml does not parse: line 2/);
  });

  test("that is written so that nothing can be added is refused", () => {
    for (const text of [
      "functions = { hello = { verify_jwt = true } }\n",
      "functions.hello.verify_jwt = true\n",
    ]) {
      expect(() => {
        const changed = addToConfig(text, sections);
        // Where it could be added after all, the result has to be one that the CLI reads.
        expect(Object.keys(readConfig(changed).functions ?? {})).toContain("hello");
        throw new Error("written in a way that it could be added to");
      }).toThrow(/written in a way/);
    }
  });
});

test("every function of ours has a section with verify_jwt, which the platform would otherwise ask for", () => {
  expect(sections.length).toBeGreaterThan(5);
  for (const { slug, text } of sections) {
    expect(parse(text)).toEqual({ functions: { [slug]: { verify_jwt: false } } });
  }
});
