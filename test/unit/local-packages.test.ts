import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { defaultSettings } from "../../scripts/local/stripe/index.ts";
import { bundleForNode, packagesIn } from "../../scripts/packing/bundle.ts";
import { readPackageOfSource } from "../../scripts/packing/package-of-source.ts";

// The packages of the local stack say what the project says, and what they need.

interface Manifest {
  name: string;
  version: string;
  license: string;
  engines: Record<string, string>;
  private: boolean;
  workspaces: string[];
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  overrides: Record<string, string>;
}

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const root = JSON.parse(read("package.json")) as Manifest;

/** By folder, what it depends on without importing it when it runs. */
const notImported: Record<string, string[]> = {
  "scripts/local/stripe": [],
  // Types only; and what keeps maildev on Node 20, as an override counts in the project that it stands in and in no other.
  "scripts/local/inbox": ["@fastify/static", "light-my-request", "resend"],
};

describe.each(root.workspaces)("%s", (folder) => {
  const manifest = JSON.parse(read(join(folder, "package.json"))) as Manifest;

  test("has the project's version, licence and Node, and is no more public than the project", () => {
    const { version, license, engines, private: isPrivate } = manifest;
    expect({ version, license, engines, isPrivate }).toEqual({
      version: root.version,
      license: root.license,
      engines: root.engines,
      isPrivate: root.private,
    });
    expect(read(join(folder, "LICENSE"))).toBe(read("LICENSE"));
  });

  test("depends on the versions that the project is tested with", () => {
    const tested = { ...root.overrides, ...root.devDependencies };
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect(`${name} ${version}`).toBe(`${name} ${tested[name]}`);
  });

  test("depends on all that it imports, and on little else", async () => {
    const { entryPoints } = readPackageOfSource(folder);
    const bundled = await bundleForNode({
      entryPoints,
      packages: "external",
      splitting: true,
      outdir: "bundles",
      write: false,
    });
    const imported = Object.values(bundled.outputs)
      .flatMap(({ imports }) => imports)
      .filter(({ path, external }) => external && !path.startsWith("node:"))
      .flatMap(({ path }) => path.match(/^(?:@[^/]+\/)?[^/]+/)?.[0] ?? []);
    const needed = new Set([...imported, ...(notImported[folder] ?? [])]);
    expect(Object.keys(manifest.dependencies).sort()).toEqual([...needed].sort());
    expect(packagesIn(bundled)).toEqual([]);
  });

  test("brings the project no second version of anything", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, unknown> };
    expect(Object.keys(packages).filter((path) => path.startsWith(`${folder}/`))).toEqual([]);
    expect(packages[`node_modules/${manifest.name}`]).toEqual({ resolved: folder, link: true });
  });
});

test("the README of the local Stripe names every setting, with its default", () => {
  const told = [...read("scripts/local/stripe/README.md").matchAll(/^\| `(\w+)` .*\| (\S.*?) +\|$/gm)];
  const defaults = told.map(([, name, value = ""]) => [name, value.replace(/^`([^`]*)`.*$/, "$1")]);
  const kept = Object.entries(defaultSettings).map(([name, value]) => [
    name,
    Array.isArray(value) ? `[${value.join(", ")}]` : String(value),
  ]);
  expect(defaults.sort()).toEqual(kept.sort());
});

test("the project's own package holds nothing of them", () => {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const packed = execFileSync("npm", args, {
    cwd: projectRoot,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const archives = JSON.parse(packed) as { name: string; files: { path: string }[] }[];
  expect(archives.map(({ name }) => name)).toEqual(["duebase"]);
  const folders = new Set(archives.flatMap(({ files }) => files.map(({ path }) => path.split("/")[0])));
  const given = ["LICENSE", "README.md", "emails", "operations", "package.json", "supabase"];
  expect([...folders].filter((it) => it !== "dist").sort()).toEqual(given);
});
