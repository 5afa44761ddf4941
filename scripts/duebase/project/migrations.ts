import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Refusal } from "../terminal.ts";
import type { Project } from "./project.ts";

/** A migration in the project's folder. */
export interface MigrationFile {
  /** Its file name. */
  name: string;
  /** The digits it begins with, by which the Supabase CLI orders migrations. */
  version: string;
}

/** Where they are, from the project's root. */
export const MIGRATIONS = "supabase/migrations";

/** The first line of every migration that duebase writes. */
export const BANNER = "-- Duebase ";

/**
 * A statement of a migration that changes much of what is ours, before the first change: the tick begins no more until the
 * migration's end, and one that runs is over in seconds. Each would else wait for what the other holds.
 */
export const NO_TICK_MEANWHILE = `do $$
begin
  -- The tick takes this lock, and leaves a minute out that it cannot have it in.
  perform pg_advisory_xact_lock(hashtextextended('tick', 7310));
end
$$;`;

/** The migrations in the project's folder, oldest first. */
export function readMigrations(project: Project): MigrationFile[] {
  const folder = join(project.root, MIGRATIONS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const version = name.match(/^(\d+)_.*\.sql$/)?.[1];
      return version === undefined ? [] : [{ name, version }];
    })
    .sort((a, b) => (a.version < b.version ? -1 : 1));
}

/**
 * The version of a migration that comes after all others: now, else one second after the newest.
 *
 * @param others versions in the folder, and in the database where it was asked
 * @throws Refusal where the newest is more than a year ahead or has another form
 */
export function nextVersion(others: readonly string[], now: Date): string {
  const newest = [...others].sort().at(-1);
  const fresh = versionAt(now);
  if (newest === undefined || fresh > newest) return fresh;
  const limit = new Date(now);
  limit.setUTCFullYear(limit.getUTCFullYear() + 1);
  if (!/^\d{14}$/.test(newest) || newest > versionAt(limit)) {
    throw new Refusal(
      `The newest migration, ${newest}, is dated more than a year ahead or has no date; ours has to come after it.`,
      "Rename it to a date in the past or of today, if it was not applied anywhere yet. If it was: npx supabase migration repair",
    );
  }
  const second = new Date(newest.replace(/^(....)(..)(..)(..)(..)(..)$/, "$1-$2-$3T$4:$5:$6Z"));
  // Digits that are no date, such as month 13, are still an order.
  return Number.isNaN(second.getTime())
    ? String(BigInt(newest) + 1n)
    : versionAt(new Date(second.getTime() + 1000));
}

/** `20261130094500`, in UTC as the Supabase CLI writes it. */
function versionAt(time: Date): string {
  return time.toISOString().replace(/\D/g, "").slice(0, 14);
}

/**
 * The migrations of theirs that make a schema of one of these names which no later one renames or drops, as
 * `file: schema`. Ours do not count.
 */
export function migrationsMaking(project: Project, schemas: readonly string[]): string[] {
  const makers = new Map<string, string>();
  const names = `"?(${schemas.join("|")})"?(?![\\w"])`;
  const statement = new RegExp(
    [
      `(create)\\s+schema\\s+(?:if\\s+not\\s+exists\\s+)?${names}`,
      `drop\\s+schema\\s+(?:if\\s+exists\\s+)?${names}`,
      `alter\\s+schema\\s+${names}\\s+rename`,
    ].join("|"),
    "gi",
  );
  for (const { name } of readMigrations(project)) {
    const sql = readFileSync(join(project.root, MIGRATIONS, name), "utf8");
    if (sql.startsWith(BANNER)) continue;
    for (const [, makes, made, dropped, renamed] of withoutComments(sql).matchAll(statement)) {
      const schema = (made ?? dropped ?? renamed ?? "").toLowerCase();
      if (makes) makers.set(schema, `${MIGRATIONS}/${name}: ${schema}`);
      else makers.delete(schema);
    }
  }
  return [...makers.values()];
}

function withoutComments(sql: string): string {
  return sql.replace(/--.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, "");
}
