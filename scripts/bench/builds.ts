/** Two builds of the database on one server: one of this work tree, and one of a commit of its history. */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { setLive } from "../local/live.ts";
import { applyMigrations } from "../local/migrations.ts";
import { type LocalPostgres, startPostgres } from "../local/postgres/server.ts";
import { projectRoot } from "../local/project.ts";

/**
 * Does some work with both builds, on a server of its own in a temporary directory; both go with the work.
 *
 * @param commit whose migrations the older build is made of; any name that git knows it by
 * @param fsync whether what is written waits for the disk
 * @param work gets a way to connect, as a role, to the databases `older` and `current`
 * @throws Error where git knows no such commit; what the work throws
 */
export async function withBuilds<T>(
  commit: string,
  { fsync }: { fsync: boolean },
  work: (connect: (role: string, database: string) => Sql) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  const server = await startPostgres({ directory: join(directory, "server"), fsync });
  const clients: Sql[] = [];
  try {
    await databasesOfBuilds(server, commit, directory);
    return await work((role, database) => {
      const client = postgres(server.urlFor(role, database), { max: 1, onnotice: () => {} });
      clients.push(client);
      return client;
    });
  } finally {
    for (const client of clients) await client.end();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Makes the databases `older` and `current`. Neither the work tree nor the repository is written to.
 *
 * @param server a new one
 * @param commit whose migrations `older` is made of; any name that git knows it by
 * @param directory where the commit's migrations are put
 * @throws Error where git knows no such commit
 */
async function databasesOfBuilds(server: LocalPostgres, commit: string, directory: string): Promise<void> {
  const admin = postgres(server.urlFor("supabase_admin", "template1"), { max: 1, onnotice: () => {} });
  try {
    for (const name of ["older", "current"])
      await admin.unsafe(`create database ${name} template postgres owner postgres`);
  } finally {
    await admin.end();
  }
  await applyMigrations(server.urlFor("postgres", "older"), checkOut(commit, directory));
  await applyMigrations(server.urlFor("postgres", "current"));
  for (const name of ["older", "current"]) await setLive(server.urlFor("postgres", name));
}

/**
 * The commit's supabase/ in a project of its own.
 *
 * @returns its folder, below `directory`
 * @throws Error where git knows no such commit
 */
export function checkOut(commit: string, directory: string): string {
  const archive = execFileSync("git", ["archive", "--prefix=older/", commit, "--", "supabase"], {
    cwd: projectRoot,
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync("tar", ["-x", "-C", directory], { input: archive });
  return join(directory, "older");
}

/** The median of some samples. */
export function middle(samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.floor(half - 0.5)] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
