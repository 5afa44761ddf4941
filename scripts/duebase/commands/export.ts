import { resolve } from "node:path";
import type { Command } from "commander";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { options } from "../options.ts";
import { Terminal } from "../terminal.ts";
import { type ExportManifest, exportTables } from "../uninstall/export.ts";

/** Adds `duebase export`. */
export function addExport(program: Command): void {
  program
    .command("export")
    .description("write every table of Duebase's into one archive")
    .argument("<file>", "where the archive goes, such as billing.tar.gz")
    .addOption(options.dbUrl())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
A file of JSON lines for each table, and manifest.json with the columns, the number of rows and a SHA-256 of each. All tables are
read as of one moment. The archive holds personal data: only you may read the file.

Example:
  npx duebase export billing.tar.gz --db-url postgresql://postgres:PASSWORD@HOST:5432/postgres`,
    )
    .action(async (file: string, given: { dbUrl?: string; json?: boolean }) => {
      const terminal = new Terminal(given);
      const manifest = await exportWithProgress(terminal, requireDatabaseUrl(given.dbUrl), file);
      const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
      terminal.answer(
        { file: resolve(file), ...manifest },
        `Wrote ${rows} rows of ${manifest.tables.length} tables to ${resolve(file)}.`,
      );
    });
}

/** Exports and shows which table it is at. */
export async function exportWithProgress(
  terminal: Terminal,
  url: string,
  file: string,
): Promise<ExportManifest> {
  const context = await terminal.progress<{ manifest?: ExportManifest }>(
    [
      {
        title: `Exporting to ${file}`,
        task: async (held, task) => {
          held.manifest = await withDatabase(url, { command: "export" }, (sql) =>
            exportTables(sql, file, (table, number, of) => {
              task.output = `${number} of ${of}: ${table}`;
            }),
          );
        },
      },
    ],
    {},
  );
  if (context.manifest === undefined) throw new Error("the export ended without a manifest");
  return context.manifest;
}
