import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { isRepository, packageManifest, packageRoot } from "./package.ts";
import { type ConfigSection, readSections } from "./project/config.ts";
import { Refusal } from "./terminal.ts";

/** A file that goes into a project. */
export interface ReleaseFile {
  /** From the project's root, with forward slashes. */
  path: string;
  content: Buffer;
}

/** The steps from the release before to `release`. */
export interface UpgradeStep {
  release: string;
  sql: string;
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

/** Where the steps of each release are, in a folder named for it. */
const UPGRADES = "supabase/upgrades";

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
  const { generateMigration } = await import("../local/release-migration.ts");
  return generateMigration();
}

function stepsBetween(root: string, installed: string, release: string): UpgradeStep[] {
  const folder = join(root, UPGRADES);
  const known = existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort(compareReleases)
    : [];
  // The first release has no folder: it is what the first folder's steps begin with, as its file `from` says.
  const chain = known.filter(
    (name) => compareReleases(name, installed) > 0 && compareReleases(name, release) <= 0,
  );
  const [first] = chain;
  if (first === undefined || chain.at(-1) !== release || !leadsFrom(folder, first, installed)) {
    throw new Refusal(
      `This package (${release}) has no steps from ${installed}, which is installed.`,
      compareReleases(installed, release) > 0
        ? `Use the package of ${installed} or a later one: npx duebase@latest upgrade`
        : "Upgrade to a release between the two first.",
    );
  }
  return chain.map((name) => ({ release: name, sql: sqlOf(join(folder, name)) }));
}

/** Whether the steps of `name` begin at `installed`: its file `from` names the release before it. */
function leadsFrom(folder: string, name: string, installed: string): boolean {
  return readFileSync(join(folder, name, "from"), "utf8").trim() === installed;
}

function sqlOf(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").trimEnd())
    .join("\n\n");
}

/** Orders releases as numbers, a pre-release before its release. */
export function compareReleases(one: string, other: string): number {
  const [a, b] = [one, other].map((release) => {
    const [numbers = "", label] = release.split(/-(.*)/s);
    return { numbers: numbers.split(".").map(Number), label };
  });
  for (let index = 0; index < 3; index++) {
    const difference = (a?.numbers[index] ?? 0) - (b?.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (a?.label === b?.label) return 0;
  if (a?.label === undefined) return 1;
  if (b?.label === undefined) return -1;
  return a.label < b.label ? -1 : 1;
}
