import { readdirSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../package.ts";

/** The slugs of the Edge Functions of this release. */
export function ourFunctions(): string[] {
  return readdirSync(join(packageRoot(), "supabase", "functions"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.startsWith("duebase-"))
    .map(({ name }) => name)
    .sort();
}
