import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";

/** What the local stack takes from supabase/config.toml; everything else there is for the Supabase CLI. */
export interface SupabaseConfig {
  /** Schemas the Data API shows. */
  schemas: string[];
  /** At most this many rows an answer. */
  maxRows: number;
  /** Where the links in Auth's mails lead. */
  siteUrl: string;
  functions: Record<string, { verify_jwt?: boolean; enabled?: boolean }>;
}

interface ConfigFile {
  api?: { schemas?: string[]; max_rows?: number };
  auth?: { site_url?: string };
  functions?: SupabaseConfig["functions"];
}

/** Reads supabase/config.toml, with the CLI's defaults for what it does not say. */
export function readSupabaseConfig(projectDirectory: string): SupabaseConfig {
  const file = join(projectDirectory, "supabase", "config.toml");
  const { api, auth, functions }: ConfigFile = existsSync(file) ? parse(readFileSync(file, "utf8")) : {};
  return {
    // GraphQL needs an extension that is not here.
    schemas: (api?.schemas ?? ["public"]).filter((schema) => schema !== "graphql_public"),
    maxRows: api?.max_rows ?? 1000,
    siteUrl: auth?.site_url ?? "http://127.0.0.1:3000",
    functions: functions ?? {},
  };
}
