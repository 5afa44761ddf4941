import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What package.json says of the release. */
export interface PackageManifest {
  name: string;
  version: string;
}

/**
 * The folder of the package this runs from: this repository, or node_modules/duebase where it is installed. It is found
 * from the running file upwards, as the built command lies elsewhere than its source.
 */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isDuebase(folder)) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("the files of the package duebase are not beside its command");
    folder = parent;
  }
  return folder;
}

/** The manifest of the package this runs from, or of another in `root`. */
export function packageManifest(root = packageRoot()): PackageManifest {
  return readManifest(root);
}

/** Whether this runs in the repository itself and not from an installed package. */
export function isRepository(root = packageRoot()): boolean {
  return existsSync(join(root, "supabase", "schemas"));
}

function isDuebase(folder: string): boolean {
  return existsSync(join(folder, "package.json")) && readManifest(folder).name === "duebase";
}

function readManifest(folder: string): PackageManifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageManifest;
}

/** Where the local stack is kept: `.stack` in this repository, else in the folder one is in. */
export function localStackDirectory(): string {
  return join(isRepository() ? packageRoot() : process.cwd(), ".stack");
}
