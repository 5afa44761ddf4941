import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { keeper } from "./keeper.ts";

/** How a program ended and all it said, on either stream. */
export interface Ended {
  code: number | null;
  output: string;
}

/** Runs a program to its end. It ends with us, should we be killed meanwhile. */
export async function runProgram(program: string, args: string[], options: SpawnOptions): Promise<Ended> {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const { pid } = child;
  if (pid) keeper().keep(pid, "TERM");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output += chunk;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  if (pid) keeper().release(pid);
  return { code, output };
}
