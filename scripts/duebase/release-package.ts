import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { isRepository, packageManifest, packageRoot } from "./package.ts";
import { type ConfigSection, readSections } from "./project/config.ts";
import { stepsBetween, type UpgradeStep } from "./upgrade/steps.ts";

/** A file that goes into a project. */
export interface ReleaseFile {
  /** From the project's root, with forward slashes. */
  path: string;
  content: Buffer;
}

/** What this package can put into a project. */
export interface ReleasePackage {
  release: string;
  functions: ReleaseFile[];
  /** The sources of the emails, for teams that change them. */
  emails: ReleaseFile[];
  sections: ConfigSection[];
  /** The whole database of this release, as one migration's text. */
  installSql(): Promise<string>;
  /**
   * The steps from an installed release to this one, oldest first.
   *
   * @throws Refusal where this package does not know that release
   */
  stepsFrom(installed: string): UpgradeStep[];
}

/** Reads the release of the package that runs. */
export function readReleasePackage(root = packageRoot()): ReleasePackage {
  const { version: release } = packageManifest(root);
  return {
    release,
    functions: filesBelow(root, "supabase/functions", (path) => /^(duebase-|_duebase\/)/.test(path)),
    emails: filesBelow(root, "emails", (path) => !/^(pictures\/|preview\/photograph\.ts$)/.test(path)),
    sections: readSections(readFileSync(join(root, "supabase", "config.toml"), "utf8")),
    installSql: () => installSql(root),
    stepsFrom: (installed) => stepsBetween(root, installed, release),
  };
}

function filesBelow(root: string, folder: string, isWanted: (path: string) => boolean): ReleaseFile[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(join(root, folder), join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter(isWanted)
    .sort()
    .map((path) => ({ path: `${folder}/${path}`, content: readFileSync(join(root, folder, path)) }));
}

async function installSql(root: string): Promise<string> {
  const built = join(root, "dist", "database.sql");
  if (!isRepository(root) && existsSync(built)) return readFileSync(built, "utf8");
  const { wholeDatabase } = await import("../local/release-migration.ts");
  return wholeDatabase();
}
