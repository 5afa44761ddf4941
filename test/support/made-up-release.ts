import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ReleasePackage, readReleasePackage } from "../../scripts/duebase/release-package.ts";
import { projectRoot } from "../../scripts/local/project.ts";

/** What makes a release of a test's own differ from the one that is being worked on. */
export interface MadeUpRelease {
  version: string;
  /** Releases on the way, each with the one before it and its steps. */
  upgrades: { release: string; from: string; sql: string }[];
  /** Files of the package that are other ones, or gone (null). */
  files?: Record<string, string | null>;
}

/** Makes the files of a package of that release in a folder of their own. */
export async function makeRelease(
  made: MadeUpRelease,
): Promise<{ release: ReleasePackage; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "duebase-release-"));
  for (const path of ["supabase/functions", "emails", "supabase/config.toml"]) {
    await cp(join(projectRoot, path), join(root, path), { recursive: true });
  }
  const write = async (path: string, content: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  };
  await write("package.json", JSON.stringify({ name: "duebase", version: made.version }));
  await write("dist/database.sql", `-- Duebase ${made.version}\n`);
  await write("supabase/functions/_duebase/release.gen.ts", `export const RELEASE = "${made.version}";\n`);
  for (const { release, from, sql } of made.upgrades) {
    await write(`supabase/upgrades/${release}/from`, `${from}\n`);
    await write(`supabase/upgrades/${release}/010_steps.sql`, sql);
  }
  for (const [path, content] of Object.entries(made.files ?? {})) {
    if (content === null) await rm(join(root, path), { recursive: true });
    else await write(path, content);
  }
  return { release: readReleasePackage(root), remove: () => rm(root, { recursive: true, force: true }) };
}

/** The text of a file of this repository. */
export function ownFile(path: string): Promise<string> {
  return readFile(join(projectRoot, path), "utf8");
}
