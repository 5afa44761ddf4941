/**
 * Shows the emails in React Email's preview while they are being written: every variant of every template, in every
 * language. A variant that is added while it runs is there at the next start.
 *
 *   npx tsx scripts/email.ts [--port 3000]
 *
 * Takes the next free port where the wished one is taken. Ctrl-C ends the preview and all it started.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import getPort, { portNumbers } from "get-port";
import { writeGallery } from "../emails/preview/gallery.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const patience = 120_000;
const gallery = join(root, ".stack", "emails");

const { values: options } = parseArgs({ options: { port: { type: "string", default: "3000" } } });
const wished = Number(options.port);
if (!Number.isInteger(wished) || wished < 1024 || wished > 65_000) {
  console.error(`--port ${options.port}: not a port from 1024 to 65000`);
  process.exit(2);
}
const port = await getPort({ port: portNumbers(wished, wished + 100) });
const url = `http://localhost:${port}`;

await writeGallery(gallery);
const program = join(dirname(createRequire(import.meta.url).resolve("react-email")), "cli", "index.mjs");
const preview = spawn(
  process.execPath,
  [program, "dev", "--dir", relative(root, gallery), "--port", String(port)],
  {
    cwd: root,
    // A group of its own, so that the Next.js server it starts is ended with it.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
  },
);

preview.stdout.pipe(process.stdout);
// Asked before it says so, it answers, but prints an error of its own as well.
const ready = new Promise<void>((resolve) => {
  preview.stdout.on("data", (chunk: Buffer) => chunk.includes("Ready in") && resolve());
  preview.on("exit", () => resolve());
});

let ending = false;
let gone = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // The second time there is no more asking.
    end(ending ? "SIGKILL" : "SIGTERM");
    ending = true;
  });
}
preview.on("error", (error) => {
  gone = true;
  console.error(`The preview did not start: ${error.message}`);
  process.exitCode = 1;
});
preview.on("exit", (code) => {
  gone = true;
  end("SIGKILL");
  process.exitCode = ending ? 0 : (code ?? 1);
});

if (await answers()) console.log(`\nEmails: ${url}`);
else if (!ending) {
  console.error(`The preview did not answer at ${url}`);
  end("SIGKILL");
}

/** Whether the preview came up; false once it has ended or taken too long. */
async function answers(): Promise<boolean> {
  const deadline = Date.now() + patience;
  await Promise.race([ready, wait(patience / 4, undefined, { ref: false })]);
  while (!gone && !ending && Date.now() < deadline) {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
    if (response?.ok) return true;
    await wait(200);
  }
  return false;
}

/** Ends the whole group: the preview, and whatever it left behind. */
function end(signal: NodeJS.Signals): void {
  if (preview.pid === undefined) return;
  try {
    process.kill(-preview.pid, signal);
  } catch {
    // Gone already.
  }
}
