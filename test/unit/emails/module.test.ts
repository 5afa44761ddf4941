import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { previewOf } from "./rendered.ts";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const module = join(root, "supabase", "functions", "_duebase", "emails.gen.js");
const deno = join(root, "node_modules", ".bin", "deno");

/** What the script below prints. */
interface Report {
  firstMs: number;
  laterMs: number;
  subjects: Record<string, string>;
  bytes: Record<string, number>;
}

/**
 * Renders everything once, then a hundred times, and says how long it took: the first with all the loading, a later
 * one on average. Counted is the time the process computes, which is what the platform limits; the clock on the
 * wall would measure what else the machine is doing.
 */
const script = (samples: string) => `
import process from "node:process";
const samples = ${samples};
const computed = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
const start = computed();
const { renderStoredEmail } = await import(${JSON.stringify(pathToFileURL(module).href)});
const report = { firstMs: 0, laterMs: 0, subjects: {}, bytes: {} };
for (const { template, props, brand } of samples) {
  const { subject, html } = renderStoredEmail(template, props, { brand, locales: ["de"] });
  if (report.firstMs === 0) report.firstMs = computed() - start;
  report.subjects[template] = subject;
  report.bytes[template] = new TextEncoder().encode(html).length;
}
const begin = computed();
for (let index = 0; index < 100; index++) {
  const { template, props, brand } = samples[index % samples.length];
  renderStoredEmail(template, props, { brand, locales: ["de"] });
}
report.laterMs = (computed() - begin) / 100;
console.log(JSON.stringify(report));
`;

test("the built module begins with whose code is in it, and the terms under which it is handed on", async () => {
  const head = (await readFile(module, "utf8")).split("\n").filter((line) => line.startsWith("//"));
  for (const name of ["react", "react-dom", "react-email", "zod"])
    expect(head.some((line) => line.startsWith(`//   ${name} `) && line.includes("Copyright"))).toBe(true);
  const text = head.map((line) => line.slice(2).trim()).join(" ");
  expect(text).toContain("Permission is hereby granted, free of charge, to any person obtaining a copy");
  expect(text).toContain("OTHER DEALINGS IN THE SOFTWARE.");
});

describe("the built module", () => {
  let folder: string;
  let file: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "duebase-emails-"));
    file = join(folder, "render.mjs");
    const samples = emailNames.map((template) => ({ template, ...previewOf(template) }));
    await writeFile(file, script(JSON.stringify(samples)));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("is what emails/ builds to", { timeout: 60_000 }, async () => {
    const build = join(root, "scripts", "build-emails.ts");
    const { stderr } = await run(process.execPath, ["--import", "tsx", build, "--check"], {
      cwd: root,
    }).catch((error: { stderr: string }) => error);
    expect(stderr).not.toContain("Run: npx tsx scripts/build-emails.ts");
  });

  test("is smaller than 700 kB and asks for no other module", async () => {
    const code = await readFile(module, "utf8");
    expect(Buffer.byteLength(code)).toBeLessThan(700_000);
    expect(code).not.toMatch(/(^|[;}\n])import[\s{*"']|\bimport\(|\brequire\(|from\s*["'](react|node:)/);
    expect(code).not.toContain("process.env");
  });

  test("renders every email in Deno without any permission, soon enough", { timeout: 60_000 }, async () => {
    const read = `--allow-read=${dirname(module)},${folder}`;
    const { stdout } = await run(deno, ["run", "--no-config", "--no-lock", "--no-prompt", read, file], {
      timeout: 50_000,
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
    });
    const { firstMs, laterMs, subjects }: Report = JSON.parse(stdout);
    console.log(`emails in Deno: first render ${firstMs.toFixed(0)} ms, later ones ${laterMs.toFixed(1)} ms`);
    expect(Object.keys(subjects)).toEqual(emailNames);
    expect(firstMs).toBeGreaterThan(0);
    expect(firstMs).toBeLessThan(300);
    expect(laterMs).toBeLessThan(15);
  });

  test("says the same in Node", { timeout: 60_000 }, async () => {
    const { stdout } = await run(process.execPath, [file], { timeout: 30_000 });
    const report: Report = JSON.parse(stdout);
    expect(report.subjects["payment-recovered"]).toBe("Danke, Ihre Zahlung von 49,00 € für Studio ist da");
    expect(Math.max(...Object.values(report.bytes))).toBeLessThan(102 * 1024);
  });
});
