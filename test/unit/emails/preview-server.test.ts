import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import getPort from "get-port";
import { expect, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

test("the preview lists every template, nothing else, and ends when asked to", {
  timeout: 180_000,
}, async () => {
  const port = await getPort();
  const script = spawn(
    process.execPath,
    ["--import", "tsx", join(root, "scripts", "email.ts"), "--port", String(port)],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise<number | null>((resolve) => script.on("exit", resolve));
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let printed = "";
      script.stdout.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        const found = printed.match(/Emails: (http:\S+)/)?.[1];
        if (found) resolve(found);
      });
      ended.then((code) => reject(new Error(`the preview ended with ${code}:\n${printed}`)));
    });
    const response = await fetch(`${url}/preview/trial-ending`, { signal: AbortSignal.timeout(120_000) });
    const page = await response.text();
    const listed = new Set([...page.matchAll(/href="\/preview\/([^"?]+)/g)].map(([, name]) => name));
    expect([...listed].sort()).toEqual([...emailNames].sort());

    script.kill("SIGINT");
    expect(await ended).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    script.kill("SIGKILL");
  }
});
