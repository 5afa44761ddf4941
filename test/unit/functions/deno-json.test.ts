import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../../..");
const FUNCTIONS = join(ROOT, "supabase/functions");

const slugs = readdirSync(FUNCTIONS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
  .map((entry) => entry.name);

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const versions: Record<string, string> = { ...manifest.dependencies, ...manifest.devDependencies };

function importsOf(slug: string): Record<string, string> {
  return JSON.parse(readFileSync(join(FUNCTIONS, slug, "deno.json"), "utf8")).imports ?? {};
}

/** The packages a function's own files import, following relative imports from its index.ts. */
function packagesImportedFrom(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  for (const [, specifier = ""] of readFileSync(file, "utf8").matchAll(/\bfrom "([^"]+)"/g)) {
    if (!specifier.startsWith(".")) packages.add(specifier);
    else for (const name of packagesImportedFrom(join(dirname(file), specifier), seen)) packages.add(name);
  }
  return packages;
}

it("there are functions to check", () => {
  expect(slugs).toContain("stripe-webhook");
});

describe.each(slugs)("the function %s", (slug) => {
  it("has the files a deploy looks for", () => {
    for (const file of ["index.ts", "handler.ts", "deno.json"]) {
      expect(existsSync(join(FUNCTIONS, slug, file)), file).toBe(true);
    }
  });

  it("pins every package to the exact version the tests run with", () => {
    for (const [name, target] of Object.entries(importsOf(slug))) {
      const [, version] = target.match(/^npm:(?:@[^/]+\/)?[^@/]+@(\d+\.\d+\.\d+)(?:\/|$)/) ?? [];
      const [packageName = ""] = name.match(/^(?:@[^/]+\/)?[^/]+/) ?? [];
      expect(target).toContain(`npm:${packageName}@`);
      expect({ [name]: version }).toEqual({ [name]: versions[packageName] });
    }
  });

  it("declares exactly the packages it imports", () => {
    const imported = [...packagesImportedFrom(join(FUNCTIONS, slug, "index.ts"))];
    expect(Object.keys(importsOf(slug)).sort()).toEqual(imported.sort());
  });
});
