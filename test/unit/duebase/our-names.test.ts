import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FUNCTION_SECRETS, USER_TRIGGERS } from "../../../scripts/duebase/project/our-names.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { readSchemas } from "../../../scripts/local/schemas.ts";

/** Only the local stack sets these, in its own process. */
const OF_THE_LOCAL_STACK = ["DUEBASE_LOCAL_STACK", "DUEBASE_RESEND_BASE_URL", "DUEBASE_STRIPE_API_URL"];

test("uninstall knows every variable of ours that a function reads, and no other", () => {
  const folder = join(projectRoot, "supabase", "functions");
  const read = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) => readFileSync(join(folder, path), "utf8").match(/"DUEBASE_[A-Z_]+"/g) ?? [])
    .map((name) => name.slice(1, -1));
  expect([...new Set(read)].filter((name) => !OF_THE_LOCAL_STACK.includes(name)).sort()).toEqual(
    [...FUNCTION_SECRETS].sort(),
  );
});

test("it knows our triggers on auth.users", () => {
  const sql = readSchemas()
    .map((file) => file.sql)
    .join("\n");
  const made = [...sql.matchAll(/create trigger (\w+)[^;]*? on auth\.users/g)].map(([, name]) => name);
  expect(made.sort()).toEqual([...USER_TRIGGERS].sort());
});

test("nothing tells a team to deploy without names, which would deploy its own functions as well", () => {
  const texts = [
    "README.md",
    "docs",
    "scripts/duebase",
    "supabase/schemas",
    "supabase/functions/README.md",
  ].flatMap((place) =>
    (/\.md$/.test(place)
      ? [place]
      : readdirSync(join(projectRoot, place), { recursive: true, encoding: "utf8" }).map((path) =>
          join(place, path),
        )
    ).filter((path) => /\.(md|ts|sql)$/.test(path)),
  );
  const bare = texts.flatMap((path) =>
    [
      ...readFileSync(join(projectRoot, path), "utf8").matchAll(
        /supabase functions deploy(?! (duebase-|…|\\u2026|\$\{|%1\$s)).*/g,
      ),
    ].map(([line]) => `${path}: ${line}`),
  );
  expect(bare).toEqual([]);
});
