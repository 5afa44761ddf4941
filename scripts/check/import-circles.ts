import { readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { projectRoot } from "../local/project.ts";

/** The files whose imports are looked at; not what was built. */
const sources = ["scripts", "supabase/functions", "emails", "client", "examples", "test"].flatMap((folder) =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path) && !/(^|[\\/])(node_modules|dist|\.\w+)[\\/]/.test(path))
    .map((path) => join(folder, path)),
);

/** By file, the files it imports. Types do not count: they are gone when the program runs. */
async function importsOf(entryPoints: string[]): Promise<Map<string, string[]>> {
  const { metafile } = await build({
    absWorkingDir: projectRoot,
    entryPoints,
    bundle: true,
    packages: "external",
    external: ["jsr:*", "npm:*"],
    platform: "node",
    format: "esm",
    outdir: "bundles",
    write: false,
    metafile: true,
    logLevel: "error",
  });
  return new Map(
    Object.entries(metafile.inputs).map(([file, { imports }]) => [
      file,
      imports.filter(({ external }) => !external).map(({ path }) => path),
    ]),
  );
}

/** One circle for each file that is imported again on the way from itself, as the files along it. */
function circlesOf(imports: Map<string, string[]>): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, way: string[]): void => {
    const before = way.indexOf(file);
    if (before !== -1) circles.push([...way.slice(before), file]);
    if (before !== -1 || done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...way, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

const imports = await importsOf(sources);
const circles = circlesOf(imports);
for (const circle of circles) console.log(circle.join(" -> "));
if (circles.length > 0) process.exitCode = 1;
