import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emailNames } from "../../../emails/index.ts";
import { cleanName, shorten } from "../../../emails/rendering/names.ts";
import { customerNamed, planNamed, render, tags } from "./rendered.ts";
import "../../support/seeded-properties.ts";

const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc.constantFrom(
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><!-- --><b>",
    "Ada\r\nBcc: everyone@example.com",
    "line\u2028separator\u2029paragraph\u0085next",
    "\u202egnp.exe\u202c",
    "\u2066isolated\u2069\u200f",
    "שלום עולם",
    "شركة النور 12",
    "a".repeat(5000),
    "é\u0301".repeat(3000),
    "👨‍👩‍👧‍👦".repeat(500),
    "\ud800 lone \udfff",
    "\u0000nul",
    "&amp; &lt;b&gt; {{y}} %s",
    "   ",
    "",
  ),
);

const shape = (html: string) => tags(html).map(({ name }) => name);

describe("a name typed by anybody", () => {
  test("changes no tag of an email, whatever it is", () => {
    for (const template of emailNames) {
      const named = (customerName: string, productName: string) => ({
        ...customerNamed(template, customerName),
        ...planNamed(template, productName),
      });
      const tame = shape(render(template, named("Ada", "Studio")).html);
      fc.assert(
        fc.property(nasty, nasty, (customerName, productName) => {
          // A blank name is left out, and takes the place for it along.
          fc.pre(cleanName(customerName) !== "");
          expect(shape(render(template, named(customerName, productName)).html)).toEqual(tame);
        }),
        { numRuns: 8 },
      );
    }
  });

  test("never breaks, hides or reorders a subject, nor makes it long", () => {
    fc.assert(
      fc.property(nasty, fc.constantFrom("en", "de"), (productName, locale) => {
        const { subject } = render("subscription-canceled", { productName, reason: "at_period_end" }, locale);
        expect(subject).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u200e\u200f\u2066\u2067]/u);
        expect([...new Intl.Segmenter().segment(subject)].length).toBeLessThanOrEqual(150);
        expect(subject.length).toBeLessThanOrEqual(600);
        expect(subject).toContain("2026");
      }),
      { numRuns: 60 },
    );
  });

  test("is bounded, one line, and whole characters", () => {
    fc.assert(
      fc.property(nasty, (name) => {
        const clean = cleanName(name);
        expect(clean).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|^\s|\s$| {2}/u);
        expect(
          [...new Intl.Segmenter().segment(clean.replace(/[\u2068\u2069]/g, ""))].length,
        ).toBeLessThanOrEqual(80);
        expect(cleanName(clean)).toBe(clean);
      }),
      { numRuns: 500 },
    );
  });

  test("in a right-to-left script is isolated from the amount behind it", () => {
    const { subject, text } = render("payment-recovered", { productName: "שלום" });
    expect(subject).toContain("\u2068שלום\u2069");
    expect(text).toContain("€49.00 for \u2068שלום\u2069 has arrived");
  });

  test("that is blank gives way to the application's", () => {
    const { subject, text } = render("trial-ending", { productName: " \u200b\n", customerName: "\u202e" });
    expect(subject).toBe("Your Northlight trial ends in 3 days");
    expect(text).toContain("\nHi,\n");
  });

  test("is shown as it was typed", () => {
    const customerName = `O'Brien & <Söhne> "GmbH"`;
    const { html, text } = render("trial-ending", { customerName });
    expect(text).toContain(`Hi ${customerName},`);
    expect(html).toContain("O&#x27;Brien &amp; &lt;Söhne&gt; &quot;GmbH&quot;");
  });
});

test("a cut text ends in an ellipsis and in no half character", () => {
  expect(shorten("abcdef", 4)).toBe("abc…");
  expect(shorten("👨‍👩‍👧‍👦".repeat(20), 3)).toBe("…");
  expect(shorten("👍🏽".repeat(20), 3)).toBe("👍🏽👍🏽…");
  expect(shorten("abc", 3)).toBe("abc");
});

test("the brand's own words are escaped and bounded as well", () => {
  const brand = {
    appName: `<b>"A"\n&co</b>`,
    postalAddress: "<i>1</i>\n\n2\r\n3",
    supportEmail: "a&b@example.com",
  };
  const { html, text } = render("trial-ending", {}, "en", brand);
  expect(html).not.toMatch(/<b>|<i>/);
  expect(text).toContain(`your <b>"A" &co</b> account`);
  expect(text).toContain("<i>1</i>\n2\n3\n");
  expect(text).toContain("Write to a&b@example.com.");
});
