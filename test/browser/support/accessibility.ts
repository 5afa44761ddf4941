import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1280, height: 900 };
/** What stands in the README. */
const README = { width: 760, height: 520 };
const NARROW = { width: 320, height: 640 };
/** A folder for pictures of every page, to be looked at by people; none are taken where it is not named. */
const pictures = process.env.DUEBASE_PICTURES;

/**
 * What axe calls serious or critical on a page, in light and in dark, and what does not fit a screen of 320 px; one line
 * each. Nothing of the page is changed by it.
 */
export async function problemsOf(page: Page, name: string): Promise<string[]> {
  const found: string[] = [];
  await page.addScriptTag({ path: axe });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const { id, nodes } of await seriousOf(page))
      found.push(...nodes.map((html) => `${name}, ${colorScheme}: ${id}: ${html}`));
    await picture(page, `${name}.wide.${colorScheme}`);
    await page.setViewportSize(NARROW);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (excess > 0) found.push(`${name}: ${excess} px wider than 320`);
    await picture(page, `${name}.narrow.${colorScheme}`);
    await page.setViewportSize(WIDE);
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (pictures) {
    await page.setViewportSize(README);
    await page.screenshot({ path: join(pictures, `${name}.readme.png`) });
    await page.setViewportSize(WIDE);
  }
  return found;
}

async function seriousOf(page: Page): Promise<{ id: string; nodes: string[] }[]> {
  const { violations } = await page.evaluate<AxeResults>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }));
}

async function picture(page: Page, name: string): Promise<void> {
  if (!pictures) return;
  await mkdir(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
