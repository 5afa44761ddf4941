import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runProgram } from "./program.ts";
import { projectRoot } from "./project.ts";

/** The Supabase CLI refused or failed; `output` is all it said. */
export class MigrationFailed extends Error {
  readonly output: string;

  constructor(code: number | null, output: string) {
    super(`supabase migration up failed (exit code ${code}):\n${output}`);
    this.name = "MigrationFailed";
    this.output = output;
  }
}

/** The script npm installed as `supabase`. */
function supabaseCli(): string {
  const manifest = createRequire(import.meta.url).resolve("supabase/package.json");
  return join(dirname(manifest), "dist", "supabase.js");
}

/**
 * Applies the migrations that are not applied yet, with the real Supabase CLI, which records them in
 * supabase_migrations.schema_migrations as it does on a hosted project.
 *
 * @param url connection string of `postgres`, who is no superuser
 * @param projectDirectory the folder that holds supabase/
 * @param applications a folder of an application's migrations, which come among the project's by their dates
 * @returns what the CLI said
 * @throws MigrationFailed
 */
export async function applyMigrations(
  url: string,
  projectDirectory = projectRoot,
  applications?: string,
): Promise<string> {
  const own = join(projectDirectory, "supabase", "migrations");
  const folders = [own, applications].filter((it): it is string => it !== undefined && existsSync(it));
  if (folders.length === 0) return "";
  // The CLI keeps notes beside what it reads and in the home directory. It is shown the migrations in a place that is
  // thrown away afterwards, so that neither the project nor the home is written to.
  const place = await mkdtemp(join(tmpdir(), "duebase-cli-"));
  try {
    await mkdir(join(place, "supabase", "migrations"), { recursive: true });
    for (const folder of folders) {
      for (const name of await readdir(folder))
        await symlink(join(folder, name), join(place, "supabase", "migrations", name));
    }
    const config = join(projectDirectory, "supabase", "config.toml");
    if (existsSync(config)) await symlink(config, join(place, "supabase", "config.toml"));
    const { code, output } = await runProgram(
      process.execPath,
      [supabaseCli(), "migration", "up", `--remote=${url}`, "--yes", `--workdir=${place}`],
      {
        cwd: place,
        env: {
          ...process.env,
          HOME: place,
          DO_NOT_TRACK: "1",
          SUPABASE_TELEMETRY_DISABLED: "1",
          SUPABASE_NO_UPDATE_NOTIFIER: "1",
          NO_COLOR: "1",
        },
      },
    );
    if (code !== 0) throw new MigrationFailed(code, output);
    return output;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
