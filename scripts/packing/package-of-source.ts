import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { projectRoot } from "../local/project.ts";

/** What a package's manifest says is to be built. */
export interface PackageOfSource {
  /** The sources of its commands and exports, from the project's root. */
  entryPoints: string[];
  /** The declarations that its exports name, from the project's root. */
  typed: string[];
}

type Exports = Record<string, string | { types: string; default: string }>;

/**
 * Reads from a package's manifest what is to be built: `dist/<name>.js`, as a command or an export, is made of
 * `<name>.ts` beside the manifest.
 *
 * @param folder from the project's root
 */
export function readPackageOfSource(folder: string): PackageOfSource {
  const text = readFileSync(join(projectRoot, folder, "package.json"), "utf8");
  const { bin, exports } = JSON.parse(text) as { bin: Record<string, string>; exports: Exports };
  const modules = Object.values(exports).flatMap((target) => (typeof target === "string" ? [] : [target]));
  const built = [...Object.values(bin), ...modules.map((target) => target.default)];
  return {
    entryPoints: built.map((path) => join(folder, `${basename(path, ".js")}.ts`)),
    typed: modules.map(({ types }) => join(folder, types)),
  };
}
