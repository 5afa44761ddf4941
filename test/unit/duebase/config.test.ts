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
  ["with an empty [api]", 'project_id = "x"\n\n[api]\n\n[db]\nport = 2\n'],
  ["with an empty [api] at its end", 'project_id = "x"\n\n[api]\n'],
  ["with an empty [api] at its end and no newline", 'project_id = "x"\n\n[api]'],
  ["with comments only in [api]", "[api] # ours\n# port = 54321\n# ask Kim\n\n[db]\nport = 2\n"],
  ["with comments only in [api], at its end", "[db]\nport = 2\n\n[api]\n# port = 54321\n"],
  [
    "with comments only in [api] and Windows line ends",
    "[api]\r\n# port = 54321\r\n\r\n[db]\r\nport = 2\r\n",
  ],
  [
    "with [api] that names no schemas and a comment after its keys",
    "[api]\nport = 1\n# schemas = []\n\n[db]\nport = 2\n",
  ],
  [
    "with schemas on many lines and no comma at the end",
    '[api]\nschemas = [\n  "public",\n  "app"\n]\nport = 1\n',
  ],
  ["with schemas on many lines and a comma at the end", '[api]\nschemas = [\n\t"public",\n\t"app",\n]\n'],
  ["with a comma at the end of one line", '[api]\nschemas = ["public", "app",]\n'],
  ["with spaces inside the brackets", '[api]\nschemas = [ "public", "app" ]  # both\nport = 1\n'],
  ["with schemas of single quotes", "[api]\nschemas = ['public', 'app']\n"],
  ["with a comment in the empty list", "[api]\nschemas = [ # none yet\n]\n"],
  [
    "with comments before, in and behind the list",
    '[api]\n# which\nschemas = [ # these\n  # first\n  "public", # all\n  # last\n] # end\n',
  ],
  [
    "with schemas on many lines, Windows line ends and no newline",
    '[api]\r\nschemas = [\r\n  "public",\r\n  "app"\r\n]',
  ],
  ["with dotted keys of other things", "api.port = 1\napi.enabled = true\n\n[db]\nport = 2\n"],
  ["with dotted keys and Windows line ends", 'project_id = "x"\r\napi.schemas = ["public"]\r\n'],
  [
    "with [api] after others and blank lines at the end",
    '[db]\nport = 1\n\n\n[api]\nschemas = ["public"]\n\n\n',
  ],
  ["with an inline table", 'api = { port = 1, schemas = ["public"] }\n\n[db]\nport = 2\n'],
  ["with an indented [api]", '  [api]\n  port = 1\n  schemas = ["public"]\n'],
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
      hadApi: readConfig(text).api !== undefined,
    };
    expect(removeFromConfig(addToConfig(text, sections), installed)).toBe(text);
  });

  test("keeps what was changed in it since, wherever it stands", () => {
    const later = addToConfig(THEIR_CONFIG, sections)
      .replace('"app",', '"app", "more",')
      .concat("\n[functions.new]\nverify_jwt = true\n");
    const installed = {
      sections: sections.map(({ slug }) => slug),
      schemas: ["billing"],
      hadSchemas: true,
      hadApi: true,
    };
    expect(removeFromConfig(later, installed)).toBe(
      `${THEIR_CONFIG.replace('"app",', '"app", "more",')}\n[functions.new]\nverify_jwt = true\n`,
    );
  });

  test("loses our sections also where somebody has moved them", () => {
    const moved = `${THEIR_CONFIG}\n${sections.map(({ text }) => text).join("\n")}`;
    const installed = {
      sections: sections.map(({ slug }) => slug),
      schemas: ["billing"],
      hadSchemas: true,
      hadApi: true,
    };
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
