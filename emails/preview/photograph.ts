import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const browserNames = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** How an email is shown: width and colour scheme. */
export interface View {
  width: number;
  colorScheme: "light" | "dark";
}

/** The machine's own Chromium: the one CHROMIUM_PATH names, else the first on the PATH. */
export async function findChromium(): Promise<string | undefined> {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of browserNames) {
      const path = join(folder, name);
      if (await isExecutable(path)) return path;
    }
  }
  return undefined;
}

/**
 * Starts Chromium without sandbox (containers have none) and without talking to anybody.
 *
 * @throws where there is no Chromium, saying how to get one.
 */
export async function launchChromium(): Promise<Browser> {
  const executablePath = await findChromium();
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

/** A picture of the whole email, and by how many pixels it is wider than the window (0 where it fits). */
export async function photograph(
  browser: Browser,
  html: string,
  view: View,
): Promise<{ png: Buffer; overflow: number }> {
  const page = await browser.newPage({
    viewport: { width: view.width, height: 400 },
    colorScheme: view.colorScheme,
    // What an email would load does not belong to it.
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

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
