import { describe, expect, test } from "vitest";
import { toPlainText } from "../../../emails/rendering/plain-text.ts";

describe("the plain text of an email", () => {
  test.each([
    [
      "keeps headings as they are written",
      "<h1>Your trial ends</h1><p>Soon.</p>",
      "Your trial ends\n\nSoon.",
    ],
    ["keeps line breaks and drops the spaces around them", "<p>one <br/> two</p>", "one\ntwo"],
    ["makes one space of many", "<p>a\n  b\u00a0\u202fc</p>", "a b c"],
    ["reads entities back, once", "<p>&amp;lt; &lt;b&gt; &quot;&#x27;</p>", "&lt; <b> \"'"],
    [
      "names a link with its address",
      '<p><a href="https://x.example/">Pay</a></p>',
      "Pay: https://x.example/",
    ],
    [
      "reads the address of a link back as well",
      '<p><a href="https://x.example/?a=1&amp;b=2">Pay</a></p>',
      "Pay: https://x.example/?a=1&b=2",
    ],
    [
      "puts the address of a link within a sentence behind it",
      '<p>See <a href="https://x.example/">this</a>.</p>',
      "See this (https://x.example/).",
    ],
    ["does not say an address twice", '<p><a href="mailto:a@b.example">a@b.example</a></p>', "a@b.example"],
    [
      "makes a line of every row of data",
      '<table><tbody><tr><th scope="row">Amount</th><td>€49.00</td></tr><tr><th>Plan<br/><span>until May</span></th><td><a href="https://x.example/">Pro</a></td></tr></tbody></table>',
      "Amount: €49.00\nPlan, until May: Pro (https://x.example/)",
    ],
    [
      "leaves out the heads of columns and empty rows",
      "<table><thead><tr><th>Item</th><th>Amount</th></tr></thead><tbody><tr><td></td></tr><tr><td>All</td></tr></tbody></table>",
      "All",
    ],
    [
      "leaves no trace of a table that only lays out",
      '<table role="presentation"><tbody><tr><td>a</td><td><table role="presentation"><tr><td>b</td></tr></table></td></tr></tbody></table>',
      "a\n\nb",
    ],
    [
      "skips what is marked, and all within it",
      '<div data-skip-in-text="true"><p>x<br/><img alt=""/></p></div><p>y</p>',
      "y",
    ],
    ["skips comments for Outlook", "<p><!--[if mso]><i>&#8202;</i><![endif]-->Pay</p>", "Pay"],
    [
      "skips the head",
      "<html><head><title>t</title><style>p{}</style></head><body><p>y</p></body></html>",
      "y",
    ],
  ])("%s", (_, html, text) => {
    expect(toPlainText(html)).toBe(`${text}\n`);
  });
});
