import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { applySchemas } from "../../scripts/local/schemas.ts";
import { catalogDifferences, makeAsBuilt, readCatalog } from "../support/catalog.ts";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../support/debian-postgres.ts";

const missing = debianPostgresMissing();

async function asNew(server: DebianPostgres) {
  const sql = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  try {
    await makeAsBuilt(sql);
  } finally {
    await sql.end();
  }
}

async function catalogOf(server: DebianPostgres) {
  const sql = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  try {
    return await readCatalog(sql, ["billing", "billing_private", "public", "auth"]);
  } finally {
    await sql.end();
  }
}

describe.skipIf(missing)(`PostgreSQL 15 as Debian packages it${missing ? `: ${missing}` : ""}`, () => {
  test("a database built from the migrations equals one built from the schemas", {
    timeout: 120_000,
  }, async () => {
    const migrated = await startDebianPostgres();
    try {
      const built = await startDebianPostgres({ migrate: false });
      try {
        await applySchemas(built.url);
        const fromSchemas = await catalogOf(built);
        expect(fromSchemas.size).toBeGreaterThan(1500);
        await asNew(migrated);
        expect(catalogDifferences(fromSchemas, await catalogOf(migrated))).toEqual([]);
      } finally {
        await built.remove();
      }
    } finally {
      await migrated.remove();
    }
  });
});
