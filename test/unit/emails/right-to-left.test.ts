import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Language } from "../../../emails/languages/en.ts";
import { findChromium, launchChromium, photograph } from "../../../emails/preview/photograph.ts";
import { render } from "./rendered.ts";

// A language as a team adds one, in the parts that a receipt needs: the list is what the build makes of the files.
vi.mock("../../../emails/languages/all.gen.ts", async (load) => {
  const { languages } = await load<typeof import("../../../emails/languages/all.gen.ts")>();
  const [english] = languages;
  if (!english) throw new Error("there is no English");
  const hebrew: Language = {
    ...english,
    code: "he",
    direction: "rtl",
    common: {
      ...english.common,
      greeting: (name) => (name === undefined ? "שלום," : `שלום ${name},`),
      viewInvoice: "הצגת החשבונית",
      labels: {
        ...english.common.labels,
        paidOn: "שולם ביום",
        plan: "תוכנית",
        amount: "סכום",
        invoice: "חשבונית",
      },
    },
    paymentReceipt: {
      ...english.paymentReceipt,
      title: (app) => `קבלה מאת ${app}`,
      thanks: "תודה על התשלום.",
      item: "פריט",
      amount: "סכום",
      parts: {
        ...english.paymentReceipt.parts,
        subtotal: "סכום ביניים",
        total: "סך הכול",
        paid: "הסכום ששולם",
      },
    },
  };
  return { languages: [...languages, hebrew] };
});

const chromium = await findChromium();

describe("a language that is written from right to left", () => {
  const receipt = () => render("payment-receipt", {}, "he-IL");

  test("turns the whole mail: direction, alignment and the space beside a label", () => {
    const { html, locale } = receipt();
    expect(locale).toBe("he-IL");
    expect(html).toMatch(/<html[^>]* dir="rtl"/);
    expect(html).toMatch(/<body[^>]* dir="rtl"/);
    expect(html).toContain("text-align:right");
    // The labels of a table, where they are not the heads of amounts.
    expect(html).not.toMatch(/<th scope="row"[^>]*text-align:left/);
  });

  test("says the same in plain text, with its dates and amounts", () => {
    const { text } = receipt();
    expect(text).toContain("תודה על התשלום.");
    expect(text).toMatch(/בנובמבר/);
    expect(text).toContain("NL-0042");
  });

  describe.skipIf(chromium === undefined)("in Chromium", () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launchChromium();
    });
    afterAll(() => browser.close());

    test("labels stand to the right of their values, and mails fit 320 pixels", {
      timeout: 60_000,
    }, async () => {
      const page = await browser.newPage({ offline: true, viewport: { width: 700, height: 800 } });
      await page.setContent(render("subscription-paused", {}, "he").html);
      const rows = await page.evaluate(() =>
        [...document.querySelectorAll("tr:has(> th.fact)")].map((row) => {
          const [label, value] = [...row.children].map((cell) => cell.getBoundingClientRect());
          return (label?.left ?? 0) >= (value?.right ?? Number.POSITIVE_INFINITY) - 1;
        }),
      );
      await page.close();
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.every(Boolean)).toBe(true);
      for (const template of ["payment-receipt", "payment-failed-final", "trial-ending"] as const) {
        const { overflow } = await photograph(browser, render(template, {}, "he").html, {
          width: 320,
          colorScheme: "light",
        });
        expect(overflow, template).toBe(0);
      }
    });
  });
});
