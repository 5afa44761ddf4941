import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { localKeys } from "./keys.ts";
import { setLive } from "./live.ts";
import type { LineLog } from "./log.ts";
import { applyMigrations } from "./migrations.ts";
import type { LocalPostgres } from "./postgres/server.ts";
import { openSql } from "./sql.ts";

/**
 * Brings a database to where the project wants it: migrations by the CLI, the secrets a hosted project is told by
 * hand, once the mode, and, where it is asked for, supabase/seed.sql once, after the first migrations, as `supabase
 * start` does.
 */
export async function prepareProjectDatabase(
  database: LocalPostgres,
  projectDirectory: string,
  options: {
    functionsUrl: string;
    /** Where alarms go, which the database posts itself. */
    alertUrl: string | undefined;
    migrations?: string;
    seed: boolean;
    mode: "live" | "mirror";
    log: LineLog;
  },
): Promise<{ isSeeded: boolean }> {
  const isNew = await isEmpty(database.adminUrl);
  const output = await applyMigrations(database.url, projectDirectory, options.migrations);
  for (const line of output.split("\n")) if (line.startsWith("Applying")) options.log.write(line);
  await storeSecrets(database.url, {
    duebase_functions_url: options.functionsUrl,
    duebase_cron_secret: localKeys.cronSecret,
    ...(options.alertUrl ? { duebase_alert_webhook_url: options.alertUrl } : {}),
  });
  if (isNew && options.mode === "live") await setLive(database.url);
  const seed = join(projectDirectory, "supabase", "seed.sql");
  const isSeeded = options.seed && isNew && existsSync(seed);
  // Ours is told that the local Stripe will know its customers; another seed does not ask.
  if (isSeeded)
    await execute(
      database.url,
      `set duebase.seed_is_known_to_stripe = 'on';\n${await readFile(seed, "utf8")}`,
    );
  return { isSeeded };
}

/** Whether no migration has ever been applied. */
async function isEmpty(url: string): Promise<boolean> {
  const sql = openSql(url);
  const [table] = await sql`select to_regclass('supabase_migrations.schema_migrations') is null as missing`;
  await sql.end();
  return table?.missing === true;
}

/** New or anew: an address may be another one on the next start. */
async function storeSecrets(url: string, secrets: Record<string, string>): Promise<void> {
  const sql = openSql(url);
  try {
    for (const [name, secret] of Object.entries(secrets)) {
      const [known] = await sql<{ id: string }[]>`select id from vault.secrets where name = ${name}`;
      if (known) await sql`select vault.update_secret(${known.id}, ${secret})`;
      else await sql`select vault.create_secret(${secret}, ${name}, 'Set by the local stack')`;
    }
  } finally {
    await sql.end();
  }
}

async function execute(url: string, statements: string): Promise<void> {
  const sql = openSql(url);
  try {
    await sql.unsafe(statements);
  } finally {
    await sql.end();
  }
}
