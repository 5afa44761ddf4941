import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../scripts/local/processes.ts";
import { projectRoot } from "../../scripts/local/project.ts";
import type { StackStatus } from "../../scripts/local/status.ts";
import { familyOf } from "../support/process-family.ts";
import { eventually, isListening, makeStackProject, type StackProject } from "../support/stack-project.ts";

let project: StackProject;
let dev: ChildProcess | undefined;
/** A server left running on purpose. */
let orphaned: number | undefined;

beforeAll(async () => {
  project = await makeStackProject({
    "supabase/migrations/20260101000000_one.sql":
      "create table public.kept (id int generated always as identity primary key);",
    "supabase/functions/hello/index.ts": "Deno.serve(() => new Response('hello'));",
  });
});

afterAll(async () => {
  dev?.kill("SIGKILL");
  await run("stop");
  await project.remove();
});

const script = (name: string, ...rest: string[]) => [
  "--import",
  "tsx",
  join(projectRoot, "scripts", name),
  "--dir",
  project.stackDirectory,
  ...rest,
];

/** Starts `npm run dev` for the project and waits until it is up. */
async function startDev(): Promise<StackStatus> {
  const child = spawn(
    process.execPath,
    script(
      "dev.ts",
      "--project",
      project.directory,
      "--port",
      "0",
      "--db-port",
      "0",
      "--studio-port",
      "0",
      "--inbox-port",
      "0",
      "--stripe-port",
      "0",
    ),
    { cwd: projectRoot, stdio: ["ignore", "pipe", "pipe"] },
  );
  dev = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk));
  return eventually(
    "the stack is up",
    async () => {
      if (child.exitCode !== null) throw new Error(`dev ended with ${child.exitCode}:\n${output}`);
      if (!output.includes("Ctrl-C stops it")) return undefined;
      return JSON.parse(await readFile(join(project.stackDirectory, "status.json"), "utf8")) as StackStatus;
    },
    60_000,
  );
}

async function run(...command: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, script("stack.ts", ...command), { cwd: projectRoot });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

const portsOf = (status: StackStatus) =>
  [status.API_URL, status.STUDIO_URL, status.STRIPE_API_URL, status.DB_URL].map((url) =>
    Number(new URL(url).port),
  );

async function expectNothingLeft(pids: number[], status: StackStatus): Promise<void> {
  await eventually("every process is gone", () => pids.every((pid) => !isAlive(pid)), 20_000);
  for (const port of portsOf(status)) expect(await isListening(port)).toBe(false);
}

const unhurried = 120_000;

// One life told in order: each test goes on where the one before it left off.

test("Ctrl-C ends the stack and everything in it", { timeout: unhurried }, async () => {
  expect(await run("status")).toMatchObject({ code: 1, output: expect.stringContaining("not running") });
  const status = await startDev();
  const pids = familyOf(status.OWNER_PID);
  expect(pids.length).toBeGreaterThan(3);
  await keepRow(status);
  dev?.kill("SIGINT");
  await eventually("dev has ended", () => dev?.exitCode !== null, 20_000);
  expect(dev?.exitCode).toBe(0);
  await expectNothingLeft(pids, status);
  expect(existsSync(join(project.stackDirectory, "status.json"))).toBe(false);
});

test("after a SIGKILL nothing keeps running", { timeout: unhurried }, async () => {
  const status = await startDev();
  expect(await keptRows(status)).toBe(1);
  await keepRow(status);
  const pids = familyOf(status.OWNER_PID);
  process.kill(status.OWNER_PID, "SIGKILL");
  await expectNothingLeft(pids, status);
  expect((await run("status")).code).toBe(1);
});

test("the next start recovers, even where the server's pid file names some other program by now", {
  timeout: unhurried,
}, async () => {
  const data = join(project.stackDirectory, "postgres", "data");
  await writeFile(join(data, "postmaster.pid"), `${process.pid}\n${data}\n1\n1\n\n127.0.0.1\n1 1\nready\n`);
  const status = await startDev();
  expect(await keptRows(status)).toBe(2);
  orphaned = await killWithKeeper(status);
});

test("a server that outlived even its keeper is ended by the next start", {
  timeout: unhurried,
}, async () => {
  if (!orphaned) throw new Error("no server was left running");
  expect(isAlive(orphaned)).toBe(true);
  const status = await startDev();
  expect(isAlive(orphaned)).toBe(false);
  expect(await keptRows(status)).toBe(2);
});

test("npm run stack shows, stops and resets it", { timeout: unhurried }, async () => {
  const shown = await run("status", "--json");
  const status = JSON.parse(shown.output) as StackStatus;
  expect(status).toEqual(JSON.parse(await readFile(join(project.stackDirectory, "status.json"), "utf8")));
  const pids = familyOf(status.OWNER_PID);
  expect((await run("status")).output).toContain(status.STUDIO_URL);
  expect(await run("reset")).toMatchObject({ code: 1, output: expect.stringContaining("is running") });
  expect(await run("stop")).toMatchObject({ code: 0, output: expect.stringContaining("Stopped") });
  await expectNothingLeft(pids, status);
  expect((await run("reset")).code).toBe(0);
  expect(existsSync(join(project.stackDirectory, "postgres"))).toBe(false);
});

/** Kills the stack together with its keeper, so that its server stays behind. Returns the server's process id. */
async function killWithKeeper(status: StackStatus): Promise<number> {
  const pids = familyOf(status.OWNER_PID);
  const find = (pattern: RegExp) => pids.find((pid) => pattern.test(commandLine(pid)));
  const [keeper, server, deno] = [find(/keeper\.sh/), find(/bin\/postgres -D/), find(/deno run/)];
  if (!keeper || !server || !deno) throw new Error("a part of the stack is missing");
  process.kill(keeper, "SIGKILL");
  process.kill(status.OWNER_PID, "SIGKILL");
  process.kill(deno, "SIGKILL");
  await eventually("the owner is gone", () => !isAlive(status.OWNER_PID));
  return server;
}

async function keepRow(status: StackStatus): Promise<void> {
  const sql = postgres(status.DB_URL, { max: 1 });
  await sql`insert into public.kept default values`;
  await sql.end();
}

async function keptRows(status: StackStatus): Promise<number> {
  const sql = postgres(status.DB_URL, { max: 1 });
  const { length } = await sql`select from public.kept`;
  await sql.end();
  return length;
}

function commandLine(pid: number): string {
  try {
    return execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}
