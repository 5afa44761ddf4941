import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import getPort from "get-port";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, onTestFinished, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { languages } from "../../../emails/languages/index.ts";
import { writeGallery } from "../../../emails/preview/gallery.ts";
import { specimens } from "../../../emails/preview/specimens.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** Of each variant in each language, its place in the list. */
function pages(): string[] {
  return specimens()
    .flatMap(({ template, name }) =>
      languages.map(({ code }) => `${template}/${name.slice(template.length + 1) || "preview"}.${code}`),
    )
    .sort();
}

test("each variant has a page in each language, which draws it, and nothing else has one", async () => {
  // Within the project, where the pages find React.
  await mkdir(join(root, ".stack"), { recursive: true });
  const folder = await mkdtemp(join(root, ".stack", "gallery-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeGallery(folder);
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".tsx"));
  expect(files.map((name) => name.slice(0, -".tsx".length)).sort()).toEqual(pages());
  const drawn = new Set<string>();
  for (const file of files) {
    const { default: Page } = await import(/* @vite-ignore */ join(folder, file));
    const html = renderToStaticMarkup(createElement(Page, Page.PreviewProps));
    expect(html).toContain(`lang="${file.split(".").at(-2)}"`);
    drawn.add(html);
  }
  expect(drawn.size).toBe(files.length);
});

test("the preview lists the templates, in each its variants in every language, and ends when asked to", {
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
    const show = async (name: string) =>
      (await fetch(`${url}/preview/${name}`, { signal: AbortSignal.timeout(120_000) })).text();
    const page = await show("trial-ending/leaving.de");
    // Of the folders in the list, the one is open whose variant is shown.
    const listed = new Set([...page.matchAll(/href="\/preview\/([^"?]+)/g)].map(([, name]) => name));
    expect([...listed].sort()).toEqual(pages().filter((name) => name.startsWith("trial-ending/")));
    const folders = [...page.matchAll(/<h3[^>]*>([a-z-]+)<\/h3>/g)].map(([, name]) => name);
    expect([...new Set(folders)].sort()).toEqual([...emailNames].sort());
    // The page holds the mail that it shows, as a text.
    expect(page).toContain("Testzeitraum");

    script.kill("SIGINT");
    expect(await ended).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    // With the servers that it started.
    script.kill("SIGTERM");
    await ended;
  }
});
