import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { findChromium, launchChromium, photograph } from "../../../emails/preview/photograph.ts";
import { render } from "./rendered.ts";

const chromium = await findChromium();

describe.skipIf(chromium === undefined)("on a phone of 320 pixels, in Chromium,", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  const long = "Donaudampfschifffahrtsgesellschaft".repeat(5);

  test.each(emailNames)("%s fits, even where no name has a space", { timeout: 60_000 }, async (template) => {
    const changes = template.startsWith("payment-failed") ? {} : { productName: long };
    const brand = {
      appName: long,
      supportEmail: `${"billing".repeat(20)}@northlight.example`,
      postalAddress: long,
    };
    const email = render(template, { customerName: long, ...changes }, "de", brand);
    const { overflow, png } = await photograph(browser, email.html, { width: 320, colorScheme: "light" });
    expect(overflow).toBe(0);
    expect(png.byteLength).toBeGreaterThan(1000);
  });

  test("notices what is too wide", async () => {
    const html = `<!doctype html><body style="margin:0"><p style="width:500px">x</p></body>`;
    expect((await photograph(browser, html, { width: 320, colorScheme: "light" })).overflow).toBe(180);
  });
});
