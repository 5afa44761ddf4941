import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { soakRuns } from "./soak/suites.ts";

/**
 * Plays every random suite with its full number, one after the other, and says which failed. `npm test` plays the same
 * suites with a small number and always the same seed. Numbers that are set in the environment stay. A run draws a seed
 * and prints it; DUEBASE_SEED plays that run again.
 */
async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const runs = soakRuns.filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  );
  if (runs.length === 0) {
    console.error(
      `There is no suite ${wanted.join(", ")}. There are: ${soakRuns.map(({ name }) => name).join(", ")}.`,
    );
    process.exitCode = 2;
    return;
  }
  const seed = process.env.DUEBASE_SEED ?? String(randomInt(1_000_000_000));
  const failed: string[] = [];
  for (const { name, what, variable, count, files } of runs) {
    const played = process.env[variable] ?? String(count);
    console.log(`\n${name}: ${played} ${what} (DUEBASE_SEED=${seed} ${variable}=${played})`);
    const startedAt = performance.now();
    const hasPassed = await play(files, { DUEBASE_SEED: seed, [variable]: played });
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
    console.log(`${name}: ${hasPassed ? "passed" : "FAILED"}, ${minutes} minutes`);
    if (!hasPassed) failed.push(name);
  }
  console.log(failed.length === 0 ? "\nEvery suite passed." : `\nFailed: ${failed.join(", ")}.`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

/** Runs test files with these variables; whether all passed. */
function play(files: readonly string[], variables: Record<string, string>): Promise<boolean> {
  const vitest = spawn(
    "npx",
    [
      "vitest",
      "run",
      "--project",
      "database",
      "--testTimeout",
      "3600000",
      "--hookTimeout",
      "7200000",
      ...files,
    ],
    { stdio: "inherit", env: { ...process.env, ...variables } },
  );
  return new Promise((resolve, reject) => {
    vitest.once("error", reject);
    vitest.once("exit", (code) => resolve(code === 0));
  });
}

await main();
