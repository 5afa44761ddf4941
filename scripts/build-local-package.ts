/**
 * Builds what a package of the local stack carries, before `npm pack` in its folder: dist/, with each entry point as a
 * module and what they share in chunks, and the types of what is exported in dist/types. Packages that it depends on stay
 * outside: each comes with its own licence.
 *
 *   npm pack -w scripts/local/stripe        runs it there
 */
import { rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { projectRoot } from "./local/project.ts";
import { bundleForNode, packagesIn } from "./packing/bundle.ts";
import { declareTypes } from "./packing/declarations.ts";
import { readPackageOfSource } from "./packing/package-of-source.ts";
import { removeUnreachable } from "./packing/reachable-types.ts";

// npm runs this in the package's folder.
const folder = relative(projectRoot, process.cwd());
const { entryPoints, typed } = readPackageOfSource(folder);
const dist = join(folder, "dist");
await rm(join(projectRoot, dist), { recursive: true, force: true });
const bundled = await bundleForNode({
  entryPoints,
  outdir: dist,
  packages: "external",
  splitting: true,
  chunkNames: "chunk-[hash]",
});
const swallowed = packagesIn(bundled);
if (swallowed.length > 0)
  throw new Error(`${dist} would contain other people's packages: ${swallowed.join(", ")}`);
const types = join(projectRoot, dist, "types");
declareTypes(folder, types);
await removeUnreachable(
  types,
  typed.map((path) => join(projectRoot, path)),
);
