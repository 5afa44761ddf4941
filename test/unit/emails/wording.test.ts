import { describe, expect, test } from "vitest";
import { render, samples } from "./rendered.ts";

const english = samples("en");
const german = samples("de");

describe("what a mail says", () => {
  test.each([
    ["an amount stands over nothing", /\b(invoice|payment) over\b/i],
    ["what happens automatically does not happen by itself", /\bby (itself|ourselves|themselves)\b/i],
    ["a card has no successor", /\bsuccessor/i],
    ["what is not paid is unpaid, due or overdue, not open", /\bopen (payment|invoice)s?\b|\bstill open\b/i],
    ["debts are paid, and not settled", /\bsettle/i],
    [
      "words are spelt as in America, like Stripe's own",
      /\b(recognis|cancell(ed|ing)\b|colour|favour|licence)/i,
    ],
  ])("in English: %s", (_rule, banned) => {
    const said = english.filter(({ name }) => !/^(payment-recovered|subscription-paused)/.test(name));
    for (const { name, subject, text } of said) expect(`${subject}\n${text}`, name).not.toMatch(banned);
  });

  test("in German: as one writes it", () => {
    for (const { name, subject, text } of german) {
      expect(`${subject}\n${text}`, name).not.toMatch(
        /Übertrag von früher|Zahlung beglichen|Zahlung begleichen/,
      );
    }
  });
});

describe.each([
  ["en", /new card/i, /another payment method/i],
  ["de", /neue Karte/, /andere Zahlungsmethode/],
])("the reminder in %s", (locale, card, other) => {
  test("tells who pays by card of a new one, and who pays by debit of another way to pay", () => {
    const by = (paymentMethod: object) => render("payment-failed-urgent", { paymentMethod }, locale).text;
    expect(by({ type: "card", brand: "visa", last4: "4242" })).toMatch(card);
    for (const type of ["sepa_debit", "us_bank_account", "bacs_debit"]) {
      expect(by({ type, last4: "3000" }), type).not.toMatch(/\bcard\b|Karte/);
      expect(by({ type, last4: "3000" }), type).toMatch(other);
    }
  });
});

test("no line of a mail can begin with the dot that parts a date from an invoice", () => {
  const said = [...english, ...german];
  expect(said.some(({ html }) => html.includes("\u00a0· "))).toBe(true);
  for (const { name, html, text } of said) {
    expect(html, name).not.toMatch(/[^\u00a0]·/);
    expect(text, name).not.toMatch(/^\s*·/m);
  }
});

test("where a product has no name, the application's stands for it, and stands once", () => {
  for (const locale of ["en", "de"]) {
    const { subject, text } = render("trial-ending", { productName: null }, locale, {
      appName: "Example App",
    });
    expect(`${subject}\n${text}`).not.toMatch(/Your Your|Ihr Your|(Example App)\W+\1/i);
    expect(subject).toContain("Example App");
  }
});

test.each([
  ["en", /Add a payment method before /, /Add one before then/],
  ["de", /Hinterlegen Sie vor dem /, /Wenn Sie vorher eine hinterlegen/],
])(
  "a card for the end of a trial is asked for before that day, not by it, in %s",
  (locale, preview, body) => {
    const { html, text } = render("trial-ending", { paymentMethod: null }, locale);
    expect(html).toMatch(preview);
    expect(text).toMatch(body);
  },
);

test.each(["refund-issued", "refund-failed", "payment-recovered", "payment-action-required"] as const)(
  "%s calls nothing a plan where what was paid for is none",
  (template) => {
    expect(render(template, {}).text).toMatch(/^Plan: /m);
    expect(render(template, { productName: null }).text).not.toMatch(/^Plan: /m);
    expect(render(template, { productName: null }, "de").text).not.toMatch(/^Tarif: /m);
  },
);
