import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import pc from "picocolors";
import { projectRoot } from "../local/project.ts";
import { type Part, parts } from "./parts.ts";

/** How long one part may take; a hung one must not hold up a pipeline for hours. */
const limitMs = 5 * 60_000;

interface Outcome {
  part: Part;
  passed: boolean;
  output: string;
}

async function run(part: Part): Promise<Outcome> {
  const child = spawn(part.program, part.args, {
    cwd: projectRoot,
    env: {
      ...process.env,
      PATH: `${join(projectRoot, "node_modules", ".bin")}${delimiter}${process.env.PATH}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.timeout(limitMs),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  try {
    const [code] = (await once(child, "close")) as [number | null];
    return { part, passed: code === 0, output };
  } catch (error) {
    return { part, passed: false, output: `${output}\n${error instanceof Error ? error.message : error}` };
  }
}

const failed: Outcome[] = [];
for (const part of parts()) {
  const start = performance.now();
  const outcome = await run(part);
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  console.log(`${outcome.passed ? pc.green("✓") : pc.red("✗")} ${part.promise} ${pc.dim(seconds)}`);
  if (!outcome.passed) failed.push(outcome);
}

for (const { part, output } of failed) {
  console.log(`\n${pc.red(pc.bold(part.promise))}  ${pc.dim([part.program, ...part.args].join(" "))}`);
  console.log(output.trimEnd());
  if (part.mend) console.log(`Mend it with: ${pc.bold(part.mend)}`);
}
if (failed.length > 0) process.exitCode = 1;
