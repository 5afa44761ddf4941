import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { denoExecutable } from "../../../scripts/local/functions/deno.ts";

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

type Graph = { modules: { specifier: string; size?: number }[]; npmPackages?: Record<string, unknown> };

/** All that Deno finds from a function's index.ts, type-only imports included: what a deploy bundles. */
function graphOf(slug: string): Graph {
  const folder = join(FUNCTIONS, slug);
  const found = execFileSync(
    denoExecutable(),
    ["info", "--json", "--config", join(folder, "deno.json"), join(folder, "index.ts")],
    { encoding: "utf8", env: { HOME: process.env.HOME, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  return JSON.parse(found);
}

/** The platform takes 20 MB. A function that grows past this has got something it does not need. */
const LARGEST_BUNDLE_BYTES = 1_000_000;

it("there are functions to check", () => {
  expect(slugs).toContain("duebase-stripe-webhook");
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

  it("carries files of its own and no package, not even for its types", () => {
    const { modules, npmPackages } = graphOf(slug);
    const foreign = modules.filter(({ specifier }) => !specifier.startsWith(`${pathToFileURL(FUNCTIONS)}/`));
    expect(foreign.map(({ specifier }) => specifier)).toEqual([]);
    expect(Object.keys(npmPackages ?? {})).toEqual([]);
    const bytes = modules.reduce((sum, { size = 0 }) => sum + size, 0);
    expect(bytes).toBeLessThan(LARGEST_BUNDLE_BYTES);
  });
});
