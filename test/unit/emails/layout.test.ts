import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { findChromium, launchChromium, photograph } from "../../../emails/preview/photograph.ts";
import { customerNamed, planNamed, render } from "./rendered.ts";

const chromium = await findChromium();

describe.skipIf(chromium === undefined)("on a phone of 320 pixels, in Chromium,", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  const long = "Donaudampfschifffahrtsgesellschaft".repeat(5);

  test.each(emailNames)("%s fits, even where no name has a space", { timeout: 60_000 }, async (template) => {
    const changes = planNamed(template, long);
    const brand = {
      appName: long,
      supportEmail: `${"billing".repeat(20)}@northlight.example`,
      postalAddress: long,
    };
    const email = render(template, { ...customerNamed(template, long), ...changes }, "de", brand);
    const { overflow, png } = await photograph(browser, email.html, { width: 320, colorScheme: "light" });
    expect(overflow).toBe(0);
    expect(png.byteLength).toBeGreaterThan(1000);
  });

  /** Of 60 characters, with the compounds that plans have in German; each word fits a line of a phone. */
  const plan = "Unternehmenskommunikation Jahresabonnement Premiumpaket Plus";
  const invoices = [0, 1].map((index) => ({
    productName: plan,
    invoiceNumber: `NL-004${index}`,
    amountDue: 14700,
    overdueSince: "2026-11-23T09:00:00Z",
  }));
  const lines = [{ description: `3 × ${plan}`, quantity: 3, amount: 123_456_700 }];

  test("no word of a long plan's name is broken, at 320 and at 390 pixels", { timeout: 60_000 }, async () => {
    const page = await browser.newPage({ offline: true });
    for (const template of emailNames) {
      const named = template.startsWith("payment-failed")
        ? [{ invoices }, { invoices: invoices.slice(1) }]
        : [template === "payment-receipt" ? { productName: plan, lines } : planNamed(template, plan)];
      for (const changes of named) {
        await page.setContent(render(template, changes, "de").html);
        for (const width of [320, 390]) {
          await page.setViewportSize({ width, height: 800 });
          const broken = await page.evaluate(wordsOnSeveralLines);
          expect(broken, `${template} at ${width}`).toEqual([]);
        }
      }
    }
    await page.close();
  });

  test("notices what is too wide", async () => {
    const html = `<!doctype html><body style="margin:0"><p style="width:500px">x</p></body>`;
    expect((await photograph(browser, html, { width: 320, colorScheme: "light" })).overflow).toBe(180);
  });
});

/** Runs in the page: the visible words that do not stand on one line. */
function wordsOnSeveralLines(): string[] {
  const found: string[] = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    for (const { 0: word, index } of (node.textContent ?? "").matchAll(/[\p{L}\p{N}]{2,}/gu)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) found.push(word);
    }
  }
  return found;
}
