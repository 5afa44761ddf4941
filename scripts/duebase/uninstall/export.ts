import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Sql, TransactionSql } from "postgres";
import { create } from "tar";

/** Rows that are held in memory at a time. */
const PIECE = 500;

/** One table in the archive. */
export interface ExportedTable {
  /** With its schema, such as `billing.invoices`. */
  table: string;
  /** Its file in the archive. */
  file: string;
  rows: number;
  sha256: string;
  columns: { name: string; type: string }[];
}

/** What an archive says of itself, in manifest.json. */
export interface ExportManifest {
  release: string;
  /** When the tables were read, all as of one moment (UTC, ISO 8601). */
  exportedAt: string;
  tables: ExportedTable[];
}

/**
 * Writes every table of our schemas into one archive (tar.gz): a file of JSON lines for each, and manifest.json. All as of
 * one moment, streamed, so that memory does not grow with the tables; they are kept beside the archive until it is
 * complete. Only the owner of the file may read it: it holds personal data.
 *
 * @param sql a client of `postgres`
 * @param file where the archive goes; one that is there is replaced when the new one is complete
 * @param onTable called before each table, with its number from 1 and how many there are
 */
export async function exportTables(
  sql: Sql,
  file: string,
  onTable: (table: string, number: number, of: number) => void = () => {},
): Promise<ExportManifest> {
  const target = resolve(file);
  await mkdir(dirname(target), { recursive: true });
  const place = await mkdtemp(join(dirname(target), ".duebase-export-"));
  try {
    const manifest = (
      await sql.begin("isolation level repeatable read read only", async (transaction) => {
        await transaction`set local statement_timeout = 0`;
        return { manifest: await writeTables(transaction, place, onTable) };
      })
    ).manifest;
    await writeFile(join(place, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    const files = ["manifest.json", ...manifest.tables.map((table) => table.file)];
    const archive = join(place, basename(target));
    await create({ gzip: true, file: archive, cwd: place, portable: true }, files);
    await chmod(archive, 0o600);
    await rename(archive, target);
    return manifest;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function writeTables(
  sql: TransactionSql,
  place: string,
  onTable: (table: string, number: number, of: number) => void,
): Promise<ExportManifest> {
  const [state] = await sql<
    { release: string; at: Date }[]
  >`select billing.version() as release, now() as at`;
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p') and not c.relispartition
    order by n.nspname, c.relname`;
  await mkdir(join(place, "tables"));
  const exported: ExportedTable[] = [];
  for (const [index, { name }] of tables.entries()) {
    onTable(name, index + 1, tables.length);
    exported.push(await writeTable(sql, place, name));
  }
  return { release: state?.release ?? "", exportedAt: state?.at.toISOString() ?? "", tables: exported };
}

async function writeTable(sql: TransactionSql, place: string, name: string): Promise<ExportedTable> {
  const columns = await sql<{ name: string; type: string }[]>`
    select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type
    from pg_catalog.pg_attribute as a
    where a.attrelid = ${name}::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`;
  const file = `tables/${name}.jsonl`;
  const hash = createHash("sha256");
  let rows = 0;
  const lines = async function* () {
    // A cursor asks for each piece when it is wanted. With the driver's stream of COPY an export once stood still, for a cause
    // that was not found.
    const pieces = sql
      .unsafe<{ line: string }[]>(
        `select row_to_json(exported_row)::text as line from ${name} as exported_row`,
      )
      .cursor(PIECE);
    for await (const piece of pieces) {
      const text = piece.map(({ line }) => `${line}\n`).join("");
      rows += piece.length;
      hash.update(text);
      yield text;
    }
  };
  await pipeline(lines, createWriteStream(join(place, file), { mode: 0o600 }));
  return { table: name, file, rows, sha256: hash.digest("hex"), columns: [...columns] };
}
