import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setLive } from "../../scripts/local/live.ts";
import { applyMigrations } from "../../scripts/local/migrations.ts";
import { debianBuild } from "../../scripts/local/postgres/binaries.ts";
import {
  type LocalPostgres,
  type PostgresOptions,
  removePostgresData,
  startPostgres,
} from "../../scripts/local/postgres/server.ts";

const major = 15;
const packages: [extension: string, debianPackage: string][] = [
  ["pg_cron", `postgresql-${major}-cron`],
  ["pgtap", `postgresql-${major}-pgtap`],
  ["plpgsql_check", `postgresql-${major}-plpgsql-check`],
];

/** A throwaway PostgreSQL 15 as Debian packages it, with the real pg_cron, the platform and all migrations. */
export interface DebianPostgres extends LocalPostgres {
  /** Stops the server and removes its data. */
  remove(): Promise<void>;
}

/**
 * Says what this machine lacks of Debian's PostgreSQL 15, or nothing. Suites skip on it:
 * `describe.skipIf(debianPostgresMissing())`.
 */
export function debianPostgresMissing(): string | undefined {
  const build = debianBuild(major);
  if (!build) return `PostgreSQL ${major} is not installed (Debian package postgresql-${major})`;
  const folder = join(build.prefix, build.share, "extension");
  const missing = packages.filter(([extension]) => !existsSync(join(folder, `${extension}.control`)));
  if (missing.length === 0) return undefined;
  return `extensions are not installed (Debian packages ${missing.map(([, name]) => name).join(", ")})`;
}

/**
 * Starts one. `pgtap` and `plpgsql_check` are there to be created; pg_cron works in database `postgres`, where
 * the migrations create it, and runs jobs by itself from the next full minute on.
 */
export async function startDebianPostgres(
  options: Partial<PostgresOptions> & { migrate?: boolean } = {},
): Promise<DebianPostgres> {
  const build = debianBuild(major);
  if (!build) throw new Error(debianPostgresMissing());
  const { migrate = true, ...rest } = options;
  const directory = rest.directory ?? (await mkdtemp(join(tmpdir(), "duebase-debian-")));
  const server = await startPostgres({
    fsync: false,
    locale: ["--locale=C.UTF-8"],
    ...rest,
    directory,
    build,
    settings: {
      shared_preload_libraries: "pg_cron",
      "cron.database_name": "postgres",
      // Jobs run in workers of the server itself: libpq sessions would need a password.
      "cron.use_background_workers": "on",
      ...rest.settings,
    },
  });
  const remove = async () => {
    await server.stop();
    await removePostgresData(directory);
  };
  try {
    if (migrate) {
      await applyMigrations(server.url);
      await setLive(server.url);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return Object.defineProperties({ remove }, Object.getOwnPropertyDescriptors(server)) as DebianPostgres;
}
