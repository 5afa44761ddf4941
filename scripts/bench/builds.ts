/** Two builds of the database on one server: one of this work tree, and one of a commit of its history. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Sql } from "postgres";
import { setLive } from "../local/live.ts";
import { applyMigrations } from "../local/migrations.ts";
import { projectRoot } from "../local/project.ts";
import { type BenchServer, withServer } from "./server.ts";

/**
 * Does some work with both builds, on a server of its own in a temporary directory; both go with the work.
 *
 * @param commit whose migrations the older build is made of; any name that git knows it by
 * @param fsync whether what is written waits for the disk
 * @param work gets a way to connect, as a role, to the databases `older` and `current`
 * @throws Error where git knows no such commit; what the work throws
 */
export function withBuilds<T>(
  commit: string,
  { fsync }: { fsync: boolean },
  work: (connect: (role: string, database: string) => Sql) => Promise<T>,
): Promise<T> {
  return withServer({ fsync }, async (bench) => {
    await installBuilds(bench, commit);
    return await work((role, database) => bench.connect(role, database));
  });
}

/**
 * Makes the databases `older` and `current`. Neither the work tree nor the repository is written to.
 *
 * @param commit whose migrations `older` is made of; any name that git knows it by
 * @throws Error where git knows no such commit
 */
async function installBuilds(
  { directory, copyDatabase, install, urlFor }: BenchServer,
  commit: string,
): Promise<void> {
  await copyDatabase("older", "current");
  await applyMigrations(urlFor("postgres", "older"), checkOut(commit, directory));
  await setLive(urlFor("postgres", "older"));
  await install("current");
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
