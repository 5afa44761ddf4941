import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { readSupabaseConfig } from "../supabase-config.ts";

/** One folder of supabase/functions that is a function. */
export interface FunctionSource {
  name: string;
  entrypoint: string;
  /** Its own deno.json, where it has one. */
  config: string | undefined;
  /** Whether a request needs a user's valid access token before the function sees it. */
  verifyJwt: boolean;
}

/** Every folder with an index.ts is a function; those whose name starts with _ or . are not, as on deploy. */
export function findFunctions(projectDirectory: string): FunctionSource[] {
  const folder = join(projectDirectory, "supabase", "functions");
  if (!existsSync(folder)) return [];
  const settings = readSupabaseConfig(projectDirectory).functions;
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[A-Za-z0-9]/.test(entry.name))
    .map(({ name }) => ({ name, entrypoint: join(folder, name, "index.ts") }))
    .filter(({ name, entrypoint }) => existsSync(entrypoint) && settings[name]?.enabled !== false)
    .map(({ name, entrypoint }) => {
      const config = join(folder, name, "deno.json");
      return {
        name,
        entrypoint,
        config: existsSync(config) ? config : undefined,
        verifyJwt: settings[name]?.verify_jwt !== false,
      };
    });
}

/** What the developer keeps in supabase/functions/.env, which `supabase functions serve` reads too. */
export function functionSecrets(projectDirectory: string): NodeJS.Dict<string> {
  const file = join(projectDirectory, "supabase", "functions", ".env");
  return existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
}
