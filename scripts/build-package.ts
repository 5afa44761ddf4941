/**
 * Builds what the package carries beside its sources, before `npm pack`: dist/duebase.js, the command with everything it
 * imports; dist/client.js with dist/types, what an application imports as duebase/client; dist/database.sql, the whole
 * database as one migration; dist/LICENSES.txt, the licences of what is inside.
 *
 *   npm pack        runs it
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildClient } from "./build-client.ts";
import { projectRoot as root } from "./local/project.ts";
import { wholeDatabase } from "./local/release-migration.ts";
import { bundleForNode, packagesIn } from "./packing/bundle.ts";

const dist = join(root, "dist");
await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const bundled = await bundleForNode({
  entryPoints: ["scripts/duebase.ts"],
  outfile: "dist/duebase.js",
  define: { "process.env.NODE_ENV": '"production"' },
  // Packages that are CommonJS ask for Node's own modules by require, which a module does not have.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  // Found in the team's project when emails are built there; listr2 loads it only where it is asked to.
  external: ["esbuild"],
});
await buildClient(dist);
await writeFile(join(dist, "database.sql"), wholeDatabase());
await writeFile(join(dist, "LICENSES.txt"), await licences(packagesIn(bundled)));

/** The licence of every package of which something is in the bundle. */
async function licences(folders: readonly string[]): Promise<string> {
  const texts = await Promise.all(folders.map(licence));
  return ["dist/duebase.js contains these packages.", ...texts].join(`\n\n${"-".repeat(80)}\n\n`);
}

async function licence(folder: string): Promise<string> {
  const path = join(root, folder);
  const { name, version, license } = JSON.parse(await readFile(join(path, "package.json"), "utf8"));
  const file = (await readdir(path)).find((it) => /^licen[cs]e/i.test(it));
  const text = file === undefined ? "" : await readFile(join(path, file), "utf8");
  return `${name} ${version}, ${license} licence\n\n${text.trim()}`.trim();
}
