import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Refusal } from "../terminal.ts";

/** Where the steps of each release are, in a folder named for it. */
const UPGRADES = "supabase/upgrades";

/** The steps from the release before to `release`. */
export interface UpgradeStep {
  release: string;
  sql: string;
}

/**
 * The steps from an installed release to another, oldest first.
 *
 * @param root of the package
 * @throws Refusal where the package has no steps from there
 */
export function stepsBetween(root: string, installed: string, release: string): UpgradeStep[] {
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
        ? `Install the package of ${installed} or a later one, and run npx duebase upgrade again.`
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
