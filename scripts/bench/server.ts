/** A PostgreSQL server of a bench's own, in a temporary directory: it, and all connections to it, end with the bench. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { setLive } from "../local/live.ts";
import { applyMigrations } from "../local/migrations.ts";
import { startPostgres } from "../local/postgres/server.ts";

/** The server while a bench works with it. */
export interface BenchServer {
  /** The temporary directory; what else is put there goes with it. */
  directory: string;
  /** Connection string of a role for a database: `postgres`, or one that was made. */
  urlFor(role: string, database: string): string;
  /** A client that is closed when the work is over; of one connection unless said otherwise. */
  connect(role: string, database: string, connections?: number): Sql;
  /** Puts this work tree's release into a database, live. */
  install(database: string): Promise<void>;
  /** Makes databases that are as `postgres` is now, to which nobody may be connected. */
  copyDatabase(...names: string[]): Promise<void>;
}

/**
 * Does some work with such a server, in whose database `postgres` the platform is, and nothing of ours.
 *
 * @param fsync whether what is written waits for the disk
 * @throws what the work throws
 */
export async function withServer<T>(
  { fsync }: { fsync: boolean },
  work: (bench: BenchServer) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  const server = await startPostgres({ directory: join(directory, "server"), fsync });
  const clients: Sql[] = [];
  const open = (role: string, database: string, connections: number) =>
    postgres(server.urlFor(role, database), { max: connections, onnotice: () => {} });
  try {
    return await work({
      directory,
      urlFor: (role, database) => server.urlFor(role, database),
      connect(role, database, connections = 1) {
        const client = open(role, database, connections);
        clients.push(client);
        return client;
      },
      async install(database) {
        await applyMigrations(server.urlFor("postgres", database));
        await setLive(server.urlFor("postgres", database));
      },
      async copyDatabase(...names) {
        const admin = open("supabase_admin", "template1", 1);
        try {
          for (const name of names)
            await admin.unsafe(`create database ${name} template postgres owner postgres`);
        } finally {
          await admin.end();
        }
      },
    });
  } finally {
    for (const client of clients) await client.end();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
