import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Account, canReach } from "./account.ts";
import type { PostgresBuild } from "./binaries.ts";

const standIns = join(dirname(fileURLToPath(import.meta.url)), "extensions");

/**
 * Extensions the platform's allow-list lets `postgres`, who is no superuser, create. PostgreSQL's own word for
 * that is a trusted extension.
 */
const creatableByPostgres = ["pg_cron", "pg_net", "supabase_vault", "pgtap", "plpgsql_check"];

/** Where the server's programs of a prepared runtime are. */
export interface Runtime {
  initdb: string;
  postgres: string;
  /** Extensions that are stand-ins here, because the build does not bring the real ones. */
  standIns: string[];
}

/**
 * Lays a PostgreSQL installation at `directory` that is `build` plus the stand-in extensions it lacks.
 *
 * The server looks for its extensions relative to its own executable, so the executables are copied and all else
 * is linked: `create extension pg_cron` then works in a migration as on the platform, and nothing is written into
 * node_modules or /usr. Where the server's OS user cannot reach the build, all of it is copied.
 */
export async function prepareRuntime(
  build: PostgresBuild,
  directory: string,
  account: Account | undefined,
): Promise<Runtime> {
  await rm(directory, { recursive: true, force: true });
  const bin = join(directory, build.bin);
  const share = join(directory, build.share);
  await mkdir(bin, { recursive: true });
  await mkdir(share, { recursive: true });
  for (const program of ["initdb", "postgres"]) {
    await copyFile(join(build.prefix, build.bin, program), join(bin, program));
    await chmod(join(bin, program), 0o755);
  }

  const place = canReach(account, build.prefix)
    ? (from: string, to: string) => symlink(from, to)
    : (from: string, to: string) => cp(from, to, { recursive: true, dereference: true });
  await place(join(build.prefix, build.lib), join(directory, build.lib));
  for (const entry of await readdir(join(build.prefix, build.share))) {
    if (entry !== "extension") await place(join(build.prefix, build.share, entry), join(share, entry));
  }
  return {
    initdb: join(bin, "initdb"),
    postgres: join(bin, "postgres"),
    standIns: await layExtensions(join(build.prefix, build.share), share, place),
  };
}

async function layExtensions(
  from: string,
  to: string,
  place: (from: string, to: string) => Promise<void>,
): Promise<string[]> {
  const target = join(to, "extension");
  await mkdir(target);
  const real = await readdir(join(from, "extension"));
  const missing = creatableByPostgres.filter((name) => !real.includes(`${name}.control`));
  const ours = (await readdir(standIns)).filter((file) => missing.some((name) => file.startsWith(name)));
  const controls = creatableByPostgres.map((name) => `${name}.control`);
  for (const [folder, files] of [
    [join(from, "extension"), real],
    [standIns, ours],
  ] as const) {
    for (const file of files) {
      if (!controls.includes(file)) await place(join(folder, file), join(target, file));
      else
        await writeFile(
          join(target, file),
          `${await readFile(join(folder, file), "utf8")}\ntrusted = true\n`,
        );
    }
  }
  return missing.filter((name) => ours.includes(`${name}.control`));
}
