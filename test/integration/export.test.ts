import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ExportManifest, exportTables } from "../../scripts/duebase/uninstall/export.ts";
import { release } from "../../scripts/local/release.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

// Nearly seventy tables, each read by itself.
vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "duebase-export-"));
});
afterAll(async () => {
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

test("an archive holds every row of every table, as its manifest says, and nobody else may read it", async () => {
  await database.sql`
    insert into billing.customers (id, email, name)
    select 'cus_' || n, n || '@example.com', repeat(E'line\n"quote", ', 20) from generate_series(1, 3000) as n`;
  const file = join(folder, "kept", "billing.tar.gz");
  const seen: string[] = [];
  const sql = database.connect();
  const manifest = await exportTables(sql, file, (table) => seen.push(table));

  expect((await stat(file)).mode & 0o777).toBe(0o600);
  // What it needed on the way is gone.
  expect(await readdir(join(folder, "kept"))).toEqual(["billing.tar.gz"]);
  await extract({ file, cwd: folder });
  expect(JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"))).toEqual(manifest);

  const tables = await database.sql<{ name: string }[]>`
    select format('%s.%s', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p') and not c.relispartition`;
  expect(seen.sort()).toEqual(tables.map(({ name }) => name).sort());
  expect(manifest).toMatchObject({ release, exportedAt: expect.stringMatching(/^20.*Z$/) });
  for (const { file, rows, sha256, columns } of manifest.tables) await isWhole(file, rows, sha256, columns);

  const customers = await readFile(join(folder, "tables", "billing.customers.jsonl"), "utf8");
  const ids = customers
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(new Set(ids.map(({ id }) => id)).size).toBe(3_000);
  expect(ids[0].name).toContain('line\n"quote"');
});

async function isWhole(
  file: string,
  rows: number,
  sha256: string,
  columns: ExportManifest["tables"][number]["columns"],
): Promise<void> {
  const text = await readFile(join(folder, file));
  expect([file, createHash("sha256").update(text).digest("hex")]).toEqual([file, sha256]);
  const lines = text.toString().split("\n").slice(0, -1);
  expect([file, lines.length]).toEqual([file, rows]);
  const [first] = lines;
  if (first) expect([file, Object.keys(JSON.parse(first))]).toEqual([file, columns.map(({ name }) => name)]);
}

test("an archive that was there is replaced only by a complete one", async () => {
  const file = join(folder, "again.tar.gz");
  await exportTables(database.connect(), file);
  const before = await readFile(file);
  const failing = exportTables(database.connect(), file, (_table, number) => {
    if (number === 5) throw new Error("cut off");
  });
  await expect(failing).rejects.toThrow("cut off");
  expect(await readFile(file)).toEqual(before);
  expect((await readdir(folder)).filter((name) => name.startsWith(".duebase"))).toEqual([]);
});
