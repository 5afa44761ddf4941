// What names the release that is being worked on, and its migration, generated from package.json and supabase/schemas:
// `npm run migration`; with --check, only compared.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectRoot } from "./local/project.ts";
import { releaseFiles } from "./local/release.ts";
import { generateMigration, releaseMigration } from "./local/release-migration.ts";

const isCheck = process.argv.includes("--check");
// The migration is made of files that name the release, so those come first.
for (const [path, content] of releaseFiles()) keep(path, content);
keep(releaseMigration, generateMigration());

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
