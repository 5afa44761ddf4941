import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, test } from "vitest";
import { removePostgresData, startPostgres } from "../../scripts/local/postgres/server.ts";
import { applySchemas } from "../../scripts/local/schemas.ts";
import { catalogDifferences, makeAsBuilt, readCatalog } from "../support/catalog.ts";
import { createTestDatabase } from "../support/database.ts";

const schemas = ["billing", "billing_private", "public", "auth"];

async function catalogOf(adminUrl: string) {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  try {
    return await readCatalog(sql, schemas);
  } finally {
    await sql.end();
  }
}

test("a database built from the migrations equals one built from the schemas", {
  timeout: 120_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "duebase-schemas-"));
  const server = await startPostgres({ directory, fsync: false });
  const migrated = await createTestDatabase();
  try {
    await applySchemas(server.url);
    const fromSchemas = await catalogOf(server.adminUrl);
    await makeAsBuilt(migrated.connect({ role: "supabase_admin" }));
    const fromMigrations = await catalogOf(migrated.adminUrl);
    expect(fromMigrations.size).toBeGreaterThan(1500);
    expect(catalogDifferences(fromSchemas, fromMigrations)).toEqual([]);
  } finally {
    await migrated.drop();
    await server.stop();
    await removePostgresData(directory);
  }
});

test("the comparison sees a difference of every kind", async () => {
  const [one, other] = [await createTestDatabase(), await createTestDatabase()];
  try {
    await other.sql.unsafe(`
      comment on schema billing is 'other';
      comment on column billing.customers.email is 'other';
      grant execute on function billing.receive_event(jsonb, timestamptz) to authenticated;
      alter table billing.customers alter column email set default 'other';
      alter table billing.invoices disable row level security;
      create index other on billing.customers (email);
      drop policy managers_read on billing.payments;
      alter table billing.outbox disable trigger user;
      alter default privileges grant select on tables to authenticated;
      update billing.settings set app_name = 'other';
      select cron.unschedule(jobname) from (select jobname from cron.job order by jobname limit 1) as j;
    `);
    const found = catalogDifferences(await catalogOf(one.adminUrl), await catalogOf(other.adminUrl)).map(
      (line) => line.split("\n")[0],
    );
    for (const kind of [
      "differs: schema billing",
      "differs: column billing.customers.email",
      "differs: function billing.receive_event(jsonb,timestamp with time zone)",
      "differs: relation billing.invoices",
      "only in the second: index billing.other",
      "only in the first: policy managers_read on billing.payments",
      "only in the second: default privileges of postgres in every schema on r",
      "differs: rows of billing.settings",
    ])
      expect(found).toContain(kind);
    expect(found.filter((line) => line?.startsWith("differs: trigger "))).not.toEqual([]);
    expect(found.filter((line) => line?.startsWith("only in the first: cron job "))).toHaveLength(1);
  } finally {
    await one.drop();
    await other.drop();
  }
});
