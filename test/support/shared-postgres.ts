import { mkdtemp } from "node:fs/promises";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { setLive } from "../../scripts/local/live.ts";
import { applyMigrations } from "../../scripts/local/migrations.ts";
import { removePostgresData, startPostgres } from "../../scripts/local/postgres/server.ts";
import { isMigrationCurrent } from "../../scripts/local/release-migration.ts";

/** The migrated database that every test database is a copy of. It allows no connections, so it can always be copied. */
export const TEMPLATE = "duebase_template";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection string of the shared server's superuser. */
    sharedPostgres: string;
  }
}

/** Starts the PostgreSQL all database tests share, and migrates its template once. About 4 s. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!isMigrationCurrent())
    throw new Error("the migration is not what supabase/schemas gives: run `npm run migration` first");
  const directory = await mkdtemp("/tmp/duebase-test-");
  const server = await startPostgres({
    directory,
    fsync: false,
    settings: { max_connections: "200", shared_buffers: "128MB", autovacuum: "off", wal_level: "logical" },
  }).catch(async (error) => {
    await removePostgresData(directory);
    throw error;
  });
  const teardown = async () => {
    await server.stopImmediate();
    await removePostgresData(directory);
  };
  try {
    await applyMigrations(server.url);
    await setLive(server.url);
    const admin = postgres(server.urlFor("supabase_admin", "template1"), { max: 1, onnotice: () => {} });
    await admin.unsafe(`create database ${TEMPLATE} template postgres strategy file_copy`);
    await admin.unsafe(`alter database ${TEMPLATE} with allow_connections false`);
    await admin.end();
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide("sharedPostgres", server.adminUrl);
  return teardown;
}
