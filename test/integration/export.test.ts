import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { extract } from "tar";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ExportManifest, exportTables } from "../../scripts/duebase/uninstall/export.ts";
import { projectRoot } from "../../scripts/local/project.ts";
import { release } from "../../scripts/local/release.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { loadFixtures } from "../support/fixtures.ts";

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

/** The statement of docs/moving-in.md that puts an archive back. */
async function restoreStatement(): Promise<string> {
  const docs = await readFile(join(projectRoot, "docs", "moving-in.md"), "utf8");
  const [statement] = docs.match(/^do \$restore\$[\s\S]*?^\$restore\$;/m) ?? [];
  if (statement === undefined) throw new Error("docs/moving-in.md does not say how an archive is read back");
  return statement;
}

async function allRows(sql: postgres.Sql): Promise<Map<string, string[]>> {
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and c.relkind in ('r', 'p') and not c.relispartition order by 1`;
  const rows = new Map<string, string[]>();
  for (const { name } of tables) {
    const found = await sql.unsafe(`select row_to_json(t)::text as line from ${name} as t order by 1`);
    rows.set(
      name,
      found.map(({ line }) => line),
    );
  }
  return rows;
}

test("an archive is read back into an empty installation as the docs say, row for row", async () => {
  const [original, copy] = [await createTestDatabase(), await createTestDatabase()];
  try {
    for (const event of loadFixtures()) await original.receive(event);
    const place = await mkdtemp(join(folder, "restore-"));
    const file = join(place, "billing.tar.gz");
    const { tables } = await exportTables(original.connect(), file);
    await extract({ file, cwd: place });

    const admin = postgres(copy.adminUrl, { max: 1, onnotice: () => {} });
    await admin`create temporary table archive (table_name text, line json)`;
    for (const { table, file: lines } of tables) {
      const text = (await readFile(join(place, lines), "utf8")).split("\n").slice(0, -1);
      await admin`insert into archive select ${table}, line::json from unnest(${text}::text[]) as line`;
    }
    await admin.unsafe(await restoreStatement());
    await admin.end();

    const [before, after] = [await allRows(original.sql), await allRows(copy.sql)];
    expect(before.get("billing.webhook_events")?.length).toBeGreaterThan(50);
    for (const [table, rows] of before) expect([table, after.get(table)]).toEqual([table, rows]);
    // What comes afterwards has numbers of its own.
    const [event] = loadFixtures();
    expect(await copy.receive({ ...event, id: "evt_after", type: "customer.created" })).toBe("processed");
  } finally {
    await Promise.all([original.drop(), copy.drop()]);
  }
});

/** Rows of about 2 kB each. */
const ROWS = Number(process.env.DUEBASE_EXPORT_ROWS ?? 40_000);
/** Megabytes that the exporting process may hold of objects: less than the rows are. */
const HEAP = 48;

test("an export needs no more memory for many rows than for few", async () => {
  const large = await createTestDatabase();
  try {
    const admin = postgres(large.adminUrl, { max: 1 });
    await admin`set session_replication_role = replica`;
    await admin`
      insert into billing.customers (id, name)
      select 'cus_' || n, repeat(md5(n::text), 60) from generate_series(1, ${ROWS}::int) as n`;
    await admin.end();
    const file = join(folder, "large.tar.gz");
    const script = `
      const { default: postgres } = await import("postgres");
      const { exportTables } = await import("./scripts/duebase/uninstall/export.ts");
      const sql = postgres(process.env.URL, { max: 1 });
      const { tables } = await exportTables(sql, process.env.FILE);
      await sql.end();
      console.log(tables.find(({ table }) => table === "billing.customers").rows);`;
    const child = spawn(
      process.execPath,
      [`--max-old-space-size=${HEAP}`, "--import", "tsx", "--input-type=module", "--eval", script],
      {
        cwd: projectRoot,
        env: { ...process.env, URL: large.url, FILE: file },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    const [code] = await once(child, "close");
    expect([code, output.trim()]).toEqual([0, String(ROWS)]);
  } finally {
    await large.drop();
  }
});
