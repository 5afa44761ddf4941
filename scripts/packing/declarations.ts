import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "../local/project.ts";

/**
 * Writes the type declarations of a folder that has a tsconfig.json, each at its place as seen from the project's root:
 * they name each other, also across folders, by relative paths.
 *
 * @param project the folder, from the project's root
 * @param folder where they are written
 */
export function declareTypes(project: string, folder: string): void {
  const declared = ["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--rootDir", projectRoot];
  execFileSync(
    join(projectRoot, "node_modules", ".bin", "tsc"),
    ["--project", project, ...declared, "--outDir", folder],
    { cwd: projectRoot, stdio: ["ignore", "inherit", "inherit"] },
  );
}
