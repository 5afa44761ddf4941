import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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
 * @returns what the CLI said
 * @throws MigrationFailed
 */
export async function applyMigrations(url: string, projectDirectory = projectRoot): Promise<string> {
  if (!existsSync(join(projectDirectory, "supabase", "migrations"))) return "";
  // The CLI keeps notes about its last use in the home directory; ours go to one that is thrown away.
  const home = await mkdtemp(join(tmpdir(), "duebase-cli-"));
  try {
    const cli = spawn(
      process.execPath,
      [supabaseCli(), "migration", "up", `--remote=${url}`, "--yes", `--workdir=${projectDirectory}`],
      {
        cwd: projectDirectory,
        env: {
          ...process.env,
          HOME: home,
          DO_NOT_TRACK: "1",
          SUPABASE_TELEMETRY_DISABLED: "1",
          NO_COLOR: "1",
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    for (const stream of [cli.stdout, cli.stderr])
      stream.on("data", (chunk) => {
        output += chunk;
      });
    const [code] = (await once(cli, "close")) as [number | null];
    if (code !== 0) throw new MigrationFailed(code, output);
    return output;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
