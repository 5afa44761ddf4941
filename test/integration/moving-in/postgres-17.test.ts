import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, vi } from "vitest";
import {
  type LocalPostgres,
  removePostgresData,
  startPostgres,
} from "../../../scripts/local/postgres/server.ts";
import { movingIn } from "./story.ts";

// The Supabase CLI applies the whole release several times.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const servers: { server: LocalPostgres; directory: string }[] = [];
afterAll(async () => {
  for (const { server, directory } of servers) {
    await server.stop();
    await removePostgresData(directory);
  }
});

async function open() {
  const directory = await mkdtemp(join(tmpdir(), "duebase-moving-in-"));
  const server = await startPostgres({ directory, fsync: false });
  servers.push({ server, directory });
  return server;
}

describe("moving in and out, on PostgreSQL 17", () => movingIn(open, open));
