import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { projectRoot } from "../local/project.ts";

/** What the Supabase CLI said and how it ended. */
export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs the Supabase CLI that npm installed, without telemetry and without touching the user's own settings of it.
 *
 * @param args such as `["db", "lint", "--remote=postgresql://…"]`
 * @param workdir the folder that holds supabase/, whose config.toml the CLI reads
 */
export async function runSupabase(args: string[], workdir = projectRoot): Promise<CliResult> {
  const manifest = createRequire(import.meta.url).resolve("supabase/package.json");
  const home = await mkdtemp(join(tmpdir(), "duebase-cli-"));
  try {
    const cli = spawn(
      process.execPath,
      [join(dirname(manifest), "dist", "supabase.js"), ...args, `--workdir=${workdir}`, "--agent=no"],
      {
        cwd: workdir,
        env: {
          ...process.env,
          HOME: home,
          DO_NOT_TRACK: "1",
          SUPABASE_TELEMETRY_DISABLED: "1",
          NO_COLOR: "1",
          // Loopback has no TLS; without this the CLI says so, in the middle of what it was asked for.
          PGSSLMODE: "disable",
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let stdout = "";
    let stderr = "";
    cli.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    cli.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const [code] = (await once(cli, "close")) as [number | null];
    return { code, stdout, stderr };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
