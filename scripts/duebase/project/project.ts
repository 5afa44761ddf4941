import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Refusal } from "../terminal.ts";

/** A Supabase project on this machine: the team's, into which ours goes. */
export interface Project {
  /** The folder that holds supabase/. */
  root: string;
  /** supabase/ itself. */
  supabase: string;
}

/**
 * Finds the project: `dir`, else the nearest folder from `from` upwards that holds supabase/config.toml.
 *
 * @throws Refusal where there is none
 */
export function findProject(dir?: string, from = process.cwd()): Project {
  if (dir !== undefined) {
    const root = resolve(from, dir);
    if (!holdsProject(root)) {
      throw new Refusal(
        `${root} is no Supabase project: it has no supabase/config.toml.`,
        "Name the folder that holds supabase/ with --dir, or make a project there with: npx supabase init",
      );
    }
    return projectAt(root);
  }
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    if (holdsProject(folder)) return projectAt(folder);
    if (dirname(folder) === folder) break;
  }
  throw new Refusal(
    `There is no Supabase project in ${from} or above it: no supabase/config.toml was found.`,
    "Change into your project or name it with --dir. To make one: npx supabase init",
  );
}

function holdsProject(folder: string): boolean {
  return existsSync(join(folder, "supabase", "config.toml"));
}

function projectAt(root: string): Project {
  return { root, supabase: join(root, "supabase") };
}

/** The ref of the linked hosted project, as `supabase link` noted it; undefined where none is linked. */
export function linkedProjectRef(project: Project): string | undefined {
  try {
    const ref = readFileSync(join(project.supabase, ".temp", "project-ref"), "utf8").trim();
    return ref === "" ? undefined : ref;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
