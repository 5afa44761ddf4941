import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { makeStackProject, type StackProject } from "../support/stack-project.ts";

// A project that was there before: its functions import packages of their own, which no node_modules holds.

let registry: Server;
let project: StackProject;
let stack: Stack;
const formerRegistry = process.env.NPM_CONFIG_REGISTRY;

beforeAll(async () => {
  registry = await startRegistry("example-shout", "1.2.3", {
    "index.js":
      "module.exports = (text) => text.toUpperCase() + require('fs').readFileSync(__dirname + '/mark.txt', 'utf8');",
    "mark.txt": "!",
  });
  process.env.NPM_CONFIG_REGISTRY = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
  const serve = (from: string) =>
    `import shout from "${from}"; Deno.serve(() => new Response(shout("hello")));`;
  project = await makeStackProject({
    "package.json": '{"name": "theirs", "dependencies": {"something-else": "1.0.0"}}',
    "supabase/migrations/20260101000000_one.sql": "create table public.theirs (id int);",
    "supabase/seed.sql": "insert into public.theirs values (1);",
    "supabase/functions/by-specifier/index.ts": serve("npm:example-shout@1.2.3"),
    "supabase/functions/by-name/index.ts": serve("shout"),
    "supabase/functions/by-name/deno.json": '{"imports": {"shout": "npm:example-shout@1.2.3"}}',
    "supabase/config.toml":
      "[functions.by-specifier]\nverify_jwt = false\n[functions.by-name]\nverify_jwt = false\n",
  });
  stack = await startStack({
    projectDirectory: project.directory,
    directory: project.stackDirectory,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
    seed: true,
  });
}, 180_000);
afterAll(async () => {
  await stack?.stop();
  registry?.close();
  await project?.remove();
  if (formerRegistry === undefined) delete process.env.NPM_CONFIG_REGISTRY;
  else process.env.NPM_CONFIG_REGISTRY = formerRegistry;
});

/** A registry of one package. */
async function startRegistry(name: string, version: string, files: Record<string, string>): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "duebase-package-"));
  const manifest = { name, version, main: "index.js" };
  await mkdir(join(folder, "package"));
  for (const [path, text] of Object.entries({ ...files, "package.json": JSON.stringify(manifest) }))
    await writeFile(join(folder, "package", path), text);
  await create({ gzip: true, cwd: folder, file: join(folder, "package.tgz") }, ["package"]);
  const archive = await readFile(join(folder, "package.tgz"));
  await rm(folder, { recursive: true });
  const server = createServer((request, response) => {
    if (request.url?.endsWith(".tgz")) return response.end(archive);
    const integrity = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
    const tarball = `http://${request.headers.host}/${name}/-/${name}-${version}.tgz`;
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        name,
        "dist-tags": { latest: version },
        versions: { [version]: { ...manifest, dist: { tarball, integrity } } },
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test.each(["by-specifier", "by-name"])(
  "a package that a function imports %s is there, and may read its own files",
  async (name) => {
    const response = await fetch(`${stack.status.FUNCTIONS_URL}/${name}`);
    expect([response.status, await response.text()]).toEqual([200, "HELLO!"]);
  },
);
