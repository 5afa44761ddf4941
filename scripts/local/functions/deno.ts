import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";

/** The Deno executable that npm installed, whether or not the package's install script was let run. */
export function denoExecutable(): string {
  const resolve = createRequire(import.meta.url).resolve;
  const name = platform() === "win32" ? "deno.exe" : "deno";
  const linked = join(dirname(resolve("deno/package.json")), name);
  if (existsSync(linked)) return linked;
  const build = `@deno/${platform()}-${arch()}${platform() === "linux" ? "-glibc" : ""}`;
  return join(dirname(createRequire(resolve("deno/package.json")).resolve(`${build}/package.json`)), name);
}
