import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { denoExecutable } from "../../../scripts/local/functions/deno.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const STARTED_WITHIN_MS = 20_000;

export type ServedFunction = { url: string; output(): string; stop(): Promise<void> };
export type Ended = { code: number | null; output: string };

/**
 * Runs a function's real index.ts under Deno on a free port of loopback, with no environment but the given.
 * Resolves with the served function, or with how it ended where it refused to serve.
 *
 * @param root the project whose function it is; this one by default
 */
export async function serve(
  slug: string,
  environment: Record<string, string>,
  root = ROOT,
): Promise<ServedFunction | Ended> {
  const folder = resolve(root, "supabase/functions", slug);
  const permissions = ["--no-prompt", "--allow-env", "--allow-net=127.0.0.1"];
  const child = spawn(
    denoExecutable(),
    ["run", ...permissions, "--config", `${folder}/deno.json`, `${folder}/index.ts`],
    {
      env: { HOME: process.env.HOME, NO_COLOR: "1", DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const closed = once(child, "close");
  let output = "";
  const listening = new Promise<string>((found) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      const address = output.match(/Listening on (http:\/\/127\.0\.0\.1:\d+)/)?.[1];
      if (address) found(address);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
  });
  const overdue = setTimeout(() => child.kill("SIGKILL"), STARTED_WITHIN_MS);
  const started = await Promise.race([listening, closed]);
  clearTimeout(overdue);
  if (typeof started !== "string") return { code: child.exitCode, output };
  return {
    url: started,
    output: () => output,
    async stop() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}

/** Runs TypeScript under Deno with the network of loopback only, and returns what it printed. */
export async function runInDeno(script: string): Promise<string> {
  const child = spawn(denoExecutable(), ["run", "--no-prompt", "--no-config", "--allow-net=127.0.0.1", "-"], {
    cwd: ROOT,
    env: { HOME: process.env.HOME, NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk;
  });
  child.stdin.end(script);
  await once(child, "close");
  return printed.trim();
}
