import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { secretDigest } from "../../scripts/duebase/connections/management.ts";
import { type LocalManagement, startLocalManagement } from "../../scripts/local/management/server.ts";
import { projectRoot } from "../../scripts/local/project.ts";

const ref = "abcdefghijklmnopqrst";
let supabase: LocalManagement;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "duebase-cli-"));
  supabase = await startLocalManagement({
    port: 0,
    ref,
    // The CLI wants one of this form.
    accessToken: `sbp_${"0".repeat(40)}`,
    functionsFolder: join(projectRoot, "supabase/functions"),
  });
  const { url } = supabase;
  const profile = {
    name: "local",
    api_url: url,
    dashboard_url: url,
    docs_url: url,
    project_host: "supabase.co",
  };
  const lines = Object.entries(profile).map(([name, value]) => `${name}: ${value}\n`);
  await writeFile(join(home, "profile.yaml"), lines.join(""));
});
afterAll(async () => {
  await supabase.close();
  await rm(home, { recursive: true, force: true });
});

async function cli(...args: string[]): Promise<string> {
  const file = join(projectRoot, "node_modules/.bin/supabase");
  const all = [
    ...args,
    `--remote=${ref}`,
    "--profile",
    join(home, "profile.yaml"),
    "--yes",
    "--workdir",
    home,
  ];
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    SUPABASE_ACCESS_TOKEN: supabase.accessToken,
    DO_NOT_TRACK: "1",
    SUPABASE_TELEMETRY_DISABLED: "1",
  };
  const { stdout, stderr } = await promisify(execFile)(file, all, { cwd: home, env, timeout: 50_000 });
  return stdout + stderr;
}

test("the real Supabase CLI sets, lists and unsets secrets here", async () => {
  await cli("secrets", "set", "DUEBASE_CRON_SECRET=example");
  expect(supabase.project.secrets.get("DUEBASE_CRON_SECRET")).toBe("example");
  expect(await cli("secrets", "list")).toContain(secretDigest("example"));
  await cli("secrets", "unset", "DUEBASE_CRON_SECRET");
  expect(supabase.project.secrets.size).toBe(0);
});

test("the real Supabase CLI lists our functions and deletes one here", async () => {
  expect(await cli("functions", "list")).toContain("duebase-deliver");
  await cli("functions", "delete", "duebase-deliver");
  expect(supabase.project.functions.has("duebase-deliver")).toBe(false);
});
