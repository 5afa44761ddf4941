/**
 * Pictures of every email in every variant: wide (800), narrow (320) and dark, with a contact sheet.
 *
 *   npx tsx scripts/screenshot-emails.ts [template …] [--locale de] [--pictures]
 *
 * Writes to .stack/screenshots/; `--pictures` writes the three for the README to emails/pictures/ instead.
 */
import { access, constants, mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { renderStoredEmail } from "../emails/index.ts";
import { type Specimen, specimens } from "../emails/preview/specimens.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const views = [
  { name: "wide", width: 800, colorScheme: "light" },
  { name: "narrow", width: 320, colorScheme: "light" },
  { name: "dark", width: 800, colorScheme: "dark" },
] as const;

const browserNames = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** What the README shows. */
const pictures = ["payment-failed-final", "payment-receipt", "trial-ending"];

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    locale: { type: "string", default: "en" },
    pictures: { type: "boolean", default: false },
  },
});

const browser = await launchChromium();
try {
  if (options.pictures) await takePictures(browser);
  else await takeScreenshots(browser);
} finally {
  await browser.close();
}

async function takeScreenshots(browser: Browser): Promise<void> {
  const folder = join(root, ".stack", "screenshots");
  const chosen = specimens().filter(({ template }) => wanted.length === 0 || wanted.includes(template));
  if (chosen.length === 0) throw new Error(`no template is called ${wanted.join(", ")}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const shots: { title: string; files: string[] }[] = [];
  for (const specimen of chosen) {
    const { html, subject } = render(specimen);
    const files: string[] = [];
    for (const { name, width, colorScheme } of views) {
      const file = `${specimen.name}.${name}.png`;
      const picture = await photograph(browser, html, { width, colorScheme });
      if (picture.overflow > 0)
        console.warn(`${file}: the page is ${picture.overflow} px wider than the window`);
      await writeFile(join(folder, file), picture.png);
      files.push(file);
    }
    shots.push({ title: `${specimen.name}: ${subject}`, files });
  }
  const sheet = join(folder, "index.html");
  await writeFile(sheet, contactSheet(shots));
  console.log(`${shots.length} emails in ${views.length} views: ${relative(process.cwd(), sheet)}`);
}

async function takePictures(browser: Browser): Promise<void> {
  const folder = join(root, "emails", "pictures");
  await mkdir(folder, { recursive: true });
  for (const specimen of specimens().filter(({ name }) => pictures.includes(name))) {
    const { png } = await photograph(browser, render(specimen).html, { width: 640, colorScheme: "light" });
    const file = join(folder, `${specimen.name}.png`);
    await writeFile(file, png);
    console.log(`${relative(process.cwd(), file)}: ${Math.ceil(png.byteLength / 1024)} KB`);
  }
}

function render({ template, props, brand }: Specimen) {
  return renderStoredEmail(template, props, { brand, locales: [options.locale] });
}

async function photograph(
  browser: Browser,
  html: string,
  view: { width: number; colorScheme: "light" | "dark" },
): Promise<{ png: Buffer; overflow: number }> {
  const page = await browser.newPage({
    viewport: { width: view.width, height: 400 },
    colorScheme: view.colorScheme,
    offline: true,
  });
  try {
    await page.setContent(html, { waitUntil: "load" });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    return { png: await page.screenshot({ fullPage: true, animations: "disabled" }), overflow };
  } finally {
    await page.close();
  }
}

function contactSheet(shots: readonly { title: string; files: readonly string[] }[]): string {
  const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const rows = shots.map(
    ({ title, files }) =>
      `<h2>${escaped(title)}</h2><div>${files.map((file) => `<a href="${file}"><img src="${file}" alt=""></a>`).join("")}</div>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Emails</title>
<style>body{font:14px system-ui;margin:24px;background:#fff;color:#222}h2{font-size:15px;margin:32px 0 8px}
div{display:flex;gap:16px;align-items:flex-start}img{height:420px;border:1px solid #ddd;object-fit:contain}</style>
${rows.join("\n")}
`;
}

/**
 * Starts the machine's own Chromium, without sandbox (containers have none) and without talking to anybody.
 *
 * @throws where there is no Chromium, saying how to get one.
 */
async function launchChromium(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH || (await findOnPath());
  if (executablePath === undefined) {
    throw new Error(
      "No Chromium found. Install it (Debian: apt-get install chromium), or name it in CHROMIUM_PATH.",
    );
  }
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

async function findOnPath(): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of browserNames) {
      const path = join(folder, name);
      try {
        await access(path, constants.X_OK);
        return path;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}
