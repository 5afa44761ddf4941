import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../scripts/local/processes.ts";
import { projectRoot } from "../../scripts/local/project.ts";
import type { StackStatus } from "../../scripts/local/status.ts";
import { familyOf } from "../support/process-family.ts";
import { eventually, makeStackProject, type StackProject } from "../support/stack-project.ts";

// `npm run dev` as people start it: npm, a shell, the stack. Ending any of them ends all of it.

let project: StackProject;
let npm: ChildProcess | undefined;

beforeAll(async () => {
  project = await makeStackProject({
    "supabase/functions/hello/index.ts": "Deno.serve(() => new Response('hello'));",
  });
});
afterEach(() => {
  npm?.kill("SIGKILL");
});
afterAll(async () => {
  const status = await readStatus();
  if (status && isAlive(status.OWNER_PID)) process.kill(status.OWNER_PID, "SIGTERM");
  await project.remove();
});

const readStatus = async (): Promise<StackStatus | undefined> => {
  try {
    return JSON.parse(await readFile(join(project.stackDirectory, "status.json"), "utf8")) as StackStatus;
  } catch {
    return undefined;
  }
};

async function startWithNpm(): Promise<{ status: StackStatus; family: number[] }> {
  const ports = ["--port", "--db-port", "--studio-port", "--inbox-port", "--stripe-port"];
  const command = ["run", "dev", "--", "--project", project.directory, "--dir", project.stackDirectory];
  npm = spawn("npm", [...command, ...ports.flatMap((name) => [name, "0"])], {
    cwd: projectRoot,
    stdio: "ignore",
    detached: true,
  });
  const status = await eventually("the stack is up", readStatus, 90_000);
  return { status, family: familyOf(npm.pid ?? 0) };
}

test.each(["SIGTERM", "SIGKILL", "SIGHUP"] as const)(
  "npm ended with %s takes the stack along",
  async (signal) => {
    const { status, family } = await startWithNpm();
    expect(family).toContain(status.OWNER_PID);
    expect(family.length).toBeGreaterThan(4);
    npm?.kill(signal);
    await eventually("every process is gone", () => family.every((pid) => !isAlive(pid)), 30_000);
    expect(await readStatus()).toBeUndefined();
  },
  180_000,
);
