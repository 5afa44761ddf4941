/**
 * Pictures of every email in every variant: wide (800), narrow (320) and dark, with a contact sheet of each.
 *
 *   npx tsx scripts/screenshot-emails.ts [template …] [--locale de] [--pictures]
 *
 * Writes to .stack/screenshots/; `--pictures` writes the three for the README to emails/pictures/ instead.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { renderStoredEmail } from "../emails/index.ts";
import { launchChromium, photograph, type View } from "../emails/preview/photograph.ts";
import { type Specimen, specimens } from "../emails/preview/specimens.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const views: readonly (View & { name: string })[] = [
  { name: "wide", width: 800, colorScheme: "light" },
  { name: "narrow", width: 320, colorScheme: "light" },
  { name: "dark", width: 800, colorScheme: "dark" },
];

const sheetView: View = { width: 1700, colorScheme: "light" };

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
  for (const view of views) {
    const shots: Shot[] = [];
    for (const specimen of chosen) {
      const { html, subject } = render(specimen);
      const { png, overflow } = await photograph(browser, html, view);
      const file = `${specimen.name}.${view.name}.png`;
      if (overflow > 0) console.warn(`${file}: the email is ${overflow} px wider than the window`);
      await writeFile(join(folder, file), png);
      shots.push({ name: specimen.name, subject, png });
    }
    const sheet = join(folder, `index.${view.name}.png`);
    await writeFile(sheet, (await photograph(browser, contactSheet(shots, view.width), sheetView)).png);
    console.log(`${shots.length} emails, ${view.name}: ${relative(process.cwd(), sheet)}`);
  }
}

async function takePictures(browser: Browser): Promise<void> {
  const folder = join(root, "emails", "pictures");
  await mkdir(folder, { recursive: true });
  for (const specimen of specimens().filter(({ name }) => pictures.includes(name))) {
    const { png } = await photograph(browser, render(specimen).html, { width: 600, colorScheme: "light" });
    const file = join(folder, `${specimen.name}.png`);
    await writeFile(file, png);
    console.log(`${relative(process.cwd(), file)}: ${Math.ceil(png.byteLength / 1000)} kB`);
  }
}

function render({ template, props, brand }: Specimen) {
  return renderStoredEmail(template, props, { brand, locales: [options.locale] });
}

interface Shot {
  name: string;
  subject: string;
  png: Buffer;
}

/** A page of all pictures of one view, to be photographed itself. */
function contactSheet(shots: readonly Shot[], width: number): string {
  const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const figures = shots.map(
    ({ name, subject, png }) =>
      `<figure><figcaption><b>${name}</b><br>${escaped(subject)}</figcaption><img src="data:image/png;base64,${png.toString("base64")}" alt=""></figure>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Emails</title>
<style>body{font:12px/1.4 sans-serif;margin:16px;background:#9a9a9a;display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start}
figure{margin:0;width:${Math.min(400, width)}px}img{width:100%}figcaption{height:3em;overflow:hidden}</style>
${figures.join("\n")}
`;
}
