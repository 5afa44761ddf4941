// The migration of the release that is being worked on, generated from supabase/schemas: `npm run migration`; with
// --check, only compared.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectRoot } from "./local/project.ts";
import { generateMigration, isMigrationCurrent, releaseMigration } from "./local/release-migration.ts";

if (!process.argv.includes("--check")) {
  const path = join(projectRoot, releaseMigration);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, generateMigration());
} else if (!isMigrationCurrent()) {
  console.error(`${releaseMigration} is not what supabase/schemas gives.`);
  process.exitCode = 1;
}
