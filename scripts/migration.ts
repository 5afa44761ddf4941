// What names the release that is being worked on, and its migration, generated from package.json, supabase/schemas and
// supabase/upgrades: `npm run migration`; with --check, only compared; with --release, it is out from then on, and frozen.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectRoot } from "./local/project.ts";
import { release, releaseFiles } from "./local/release.ts";
import {
  changedReleases,
  generateMigration,
  migrationFile,
  RELEASED,
  releasedMigrations,
  sha256Of,
} from "./local/release-migration.ts";

const isCheck = process.argv.includes("--check");
const released = releasedMigrations();

try {
  const [changed] = changedReleases(released);
  if (changed) {
    throw new Error(`${changed} is released, and not what it was: take it back from the release's commit.`);
  }
  // The migration is made of files that name the release, so those come first.
  for (const [path, content] of releaseFiles()) keep(path, content);
  const migration = generateMigration(released);
  keep(migrationFile(release, released), migration);
  if (process.argv.includes("--release") && !released.some((one) => one.release === release)) {
    keep(RELEASED, `${JSON.stringify([...released, { release, sha256: sha256Of(migration) }], null, 2)}\n`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function keep(path: string, content: string): void {
  const file = join(projectRoot, path);
  if (existsSync(file) && readFileSync(file, "utf8") === content) return;
  if (isCheck) {
    console.error(`${path} is not what package.json and supabase/schemas give. Run: npm run migration`);
    process.exitCode = 1;
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
