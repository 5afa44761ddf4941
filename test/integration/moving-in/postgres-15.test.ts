import { afterAll, describe, vi } from "vitest";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../../support/debian-postgres.ts";
import { movingIn } from "./story.ts";

const missing = debianPostgresMissing();
// The Supabase CLI applies the whole release several times.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const servers: DebianPostgres[] = [];
afterAll(async () => {
  for (const server of servers) await server.remove();
});

async function open() {
  const server = await startDebianPostgres({ migrate: false });
  servers.push(server);
  return server;
}

describe.skipIf(missing)(`moving in and out, on PostgreSQL 15${missing ? `: skipped, ${missing}` : ""}`, () =>
  movingIn(open, open),
);
