/**
 * What the function itself costs, without network and database: how many signed events two processes verify,
 * bound, parse and answer a second, beside what the SDK's bare verification reaches on the same machine in
 * the same run. Run by Deno, which is where the function runs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { denoExecutable } from "../local/functions/deno.ts";
import type { BenchRow } from "./report.ts";

type Subject = "handler" | "sdk";
type Measurement = { events: number; seconds: number };

const PROCESSES = 2;
const WARM_UP_MS = 1_000;
const ROUND_MS = 2_000;
const ROUNDS = 3;
const LEAST_RATE = 10_000;
const LEAST_RATIO = 0.5;

const WORKER = fileURLToPath(new URL("./verify.worker.ts", import.meta.url));
const PERMISSIONS = ["--allow-read", "--allow-env", "--allow-sys"];

/**
 * Runs about 15 seconds. The subjects alternate, and each counts by its fastest round: the slower ones
 * measured whatever else the machine was doing.
 */
export async function benchVerification(): Promise<BenchRow[]> {
  const workers = Array.from({ length: PROCESSES }, startWorker);
  try {
    const rates: Record<Subject, number[]> = { handler: [], sdk: [] };
    for (const subject of ["handler", "sdk"] as const) await rateOf(workers, subject, WARM_UP_MS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const subject of ["handler", "sdk"] as const) {
        rates[subject].push(await rateOf(workers, subject, ROUND_MS));
      }
    }
    const [handler, sdk] = [Math.max(...rates.handler), Math.max(...rates.sdk)];
    const ratio = handler / sdk;
    const unit = "events/s";
    return [
      {
        name: `duebase-stripe-webhook without database, ${PROCESSES} processes`,
        value: handler,
        unit,
        target: `at least ${LEAST_RATE}`,
        met: handler >= LEAST_RATE,
      },
      { name: `Stripe SDK, bare constructEventAsync, ${PROCESSES} processes`, value: sdk, unit },
      {
        name: "duebase-stripe-webhook against the SDK",
        value: ratio,
        unit: "×",
        ratio,
        target: `at least ${LEAST_RATIO} of the SDK's rate`,
        met: ratio >= LEAST_RATIO,
      },
    ];
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

type Worker = {
  measure(subject: Subject, milliseconds: number): Promise<Measurement>;
  stop(): Promise<void>;
};

function startWorker(): Worker {
  const child: ChildProcess = spawn(denoExecutable(), ["run", "--no-prompt", ...PERMISSIONS, WORKER], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new Error("The bench worker has no pipes.");
  const exited = once(child, "exit");
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    async measure(subject, milliseconds) {
      stdin.write(`${subject} ${milliseconds}\n`);
      const { done, value } = await lines.next();
      if (done) throw new Error("The bench worker ended early; its error is above.");
      return JSON.parse(value) as Measurement;
    },
    async stop() {
      stdin.end();
      await exited;
    },
  };
}

async function rateOf(workers: readonly Worker[], subject: Subject, milliseconds: number): Promise<number> {
  const measured = await Promise.all(workers.map((worker) => worker.measure(subject, milliseconds)));
  return measured.reduce((sum, { events, seconds }) => sum + events / seconds, 0);
}
