import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { EmailName } from "../../../emails/contract.ts";
import { chooseLocale, languageOf, languages } from "../../../emails/languages/index.ts";
import { render } from "./rendered.ts";

describe("the language of an email", () => {
  test.each([
    [["de"], "de"],
    [["de-AT", "en"], "de-AT"],
    [["fr", "de-CH", "en"], "de-CH"],
    [["fr", "ja"], "en-001"],
    [["es-US"], "en"],
    [["en-GB"], "en-GB"],
    [["de_DE"], "de-DE"],
    [["DE-at"], "de-AT"],
    [["de-u-ca-buddhist"], "de"],
    [["", "??", "not a locale", "de"], "de"],
    [[], "en"],
    [null, "en"],
    [undefined, "en"],
  ])("for a customer who prefers %j is %s", (preferred, locale) => {
    expect(chooseLocale(preferred)).toBe(locale);
  });

  test("keeps the customer's region in dates and amounts", () => {
    const at = (locale: string) => render("payment-recovered", {}, locale).text;
    expect(at("en")).toContain("Paid on: November 28, 2026");
    expect(at("en-GB")).toContain("Paid on: 28 November 2026");
    expect(at("de")).toContain("Betrag: 49,00 €");
    expect(at("de-AT")).toContain("Betrag: € 49,00");
  });

  test("is English in full where the customer's is not spoken, but without American dates", () => {
    const said = render("payment-recovered", {}, "ja");
    expect(said.locale).toBe("en-001");
    expect(said.subject).toBe(render("payment-recovered", {}, "en").subject);
    expect(said.text).toContain("Paid on: 28 November 2026");
  });

  test.each([
    // Nobody knows theirs: the project's.
    [[], "en-IE", "en-IE"],
    [null, "de-AT", "de-AT"],
    [["fr"], "de", "de"],
    [["fr"], "en-GB", "en-GB"],
    [["fr-CA"], "en-US", "en-001"],
    [[], "en-US", "en-US"],
    // Theirs without a region: the project's, of the same language.
    [["en"], "en-IE", "en-IE"],
    [["de"], "de-CH", "de-CH"],
    [["de"], "en-IE", "de"],
    [["en-AU"], "en-IE", "en-AU"],
    // A project's that is not spoken, or none.
    [[], "fr-FR", "en"],
    [[], "not a locale", "en"],
  ])("for a customer who prefers %j of a project in %s is %s", (preferred, projects, locale) => {
    expect(chooseLocale(preferred, projects)).toBe(locale);
  });

  test("is known by a code that Intl knows as well", () => {
    for (const { code } of languages) {
      expect(Intl.getCanonicalLocales(code)).toEqual([code]);
      expect(languageOf(code).code).toBe(code);
    }
  });
});

test("every file beside the languages that is named for one is a language, under its own name", async () => {
  const folder = join(import.meta.dirname, "..", "..", "..", "emails", "languages");
  const files = (await readdir(folder)).filter((file) => file !== "index.ts" && !file.includes(".gen."));
  expect(languages.map(({ code }) => `${code}.ts`).sort()).toEqual(files.sort());
});

test("every language says every sentence in its own words", () => {
  const [english, ...others] = languages;
  const sentences = (value: unknown, path = ""): [string, unknown][] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => sentences(inner, `${path}.${key}`))
      : [[path, value]];
  const originals = sentences(english);
  for (const language of others) {
    const own = new Map(sentences(language));
    expect([...own.keys()]).toEqual(originals.map(([path]) => path));
    for (const [path, original] of originals) {
      // A short word may be the same by chance; a sentence is not.
      if (typeof original === "string" && original.includes(" "))
        expect(own.get(path), path).not.toBe(original);
    }
  }
});

const failures = ["payment-failed-notice", "payment-failed-urgent", "payment-failed-final"] as const;
const losing =
  /\bend(s|et)? on\b|cancel|paused|to keep|keep it|endet (am|Ihr)|beenden|pausiert|weiterläuft|läuft es weiter/i;

describe.each(["en", "de"])("the failure emails in %s", (locale) => {
  test("each say it in their own words", () => {
    const said = failures.map((name) => render(name, {}, locale));
    const common = render("payment-recovered", {}, locale).text.split("\n\n");
    const paragraphs = said.map(({ text }) =>
      text
        .split("\n\n")
        .filter((part) => !part.includes("http") && !part.includes("\n") && !common.includes(part)),
    );
    expect(paragraphs.every((parts) => parts.length >= 4)).toBe(true);
    expect(new Set(paragraphs.flat()).size).toBe(paragraphs.flat().length);
    expect(new Set(said.map(({ subject }) => subject)).size).toBe(failures.length);
  });

  test.each(failures)("%s names the amount, the card, the day and the days left", (name) => {
    const { text, html } = render(name, { daysLeft: 6 }, locale);
    expect(text).toContain(locale === "de" ? "49,00 €" : "€49.00");
    expect(text).toMatch(/Visa (ending in|mit den Endziffern) 4242|Visa •••• 4242/);
    // The last day to pay, which the end's day follows.
    expect(text).toContain(locale === "de" ? "2. Dezember 2026" : "December 2, 2026");
    const named = name !== "payment-failed-notice";
    expect(text.includes(locale === "de" ? "3. Dezember 2026" : "December 3, 2026")).toBe(named);
    expect(html).toMatch(/[56] (days|Tage)/);
  });

  test.each(failures)("%s names the days in UTC, wherever the project is at home", (name) => {
    for (const timeZone of ["Pacific/Kiritimati", "Pacific/Pago_Pago"]) {
      const { text } = render(name, {}, locale, { timeZone });
      expect(text).toContain(locale === "de" ? "2. Dezember 2026" : "December 2, 2026");
      expect(text).not.toMatch(/December 4|4\. Dezember/);
    }
  });

  test("the final warning says where the end comes before the day that was set", () => {
    const { text } = render("payment-failed-final", { setToEndAt: "2027-11-01T09:00:00Z" }, locale);
    expect(text).toContain(
      locale === "de" ? "Das ist vor dem 1. November 2027" : "This comes before November 1, 2027",
    );
    expect(render("payment-failed-final", {}, locale).text).not.toMatch(/comes before|Das ist vor/);
  });

  test.each(failures)("%s names the next attempt only when Stripe has one", (name) => {
    const label = languageOf(locale).common.labels.nextAttempt;
    expect(render(name, { nextPaymentAttempt: "2026-11-26T09:00:00Z" }, locale).text).toContain(label);
    const without = render(name, { nextPaymentAttempt: null }, locale).text;
    expect(without).not.toContain(label);
    expect(without).not.toMatch(/November 26|26\. November/);
  });

  test.each(failures)("%s says nothing of losing access to whom nothing is taken from", (name) => {
    const threatened = render(name, {}, locale);
    expect(`${threatened.subject} ${threatened.text}`).toMatch(losing);
    const spared = [
      { leaving: true },
      { leaving: true, accessEndsAt: null, daysLeft: null },
      { leaving: false, accessEndsAt: null, daysLeft: null },
    ];
    for (const changes of spared) {
      const { subject, text, html } = render(name, changes, locale);
      const preview = html.match(/<div style="display:none[^>]*>([^<]+)</)?.[1];
      const said = [subject, preview, text].join("\n").replace(languageOf(locale).paymentFailed.leaving, "");
      expect(said).not.toMatch(losing);
      expect(said).not.toMatch(/December|Dezember/);
    }
  });

  test.each(failures)("%s says paused where the subscription will be paused", (name) => {
    const { text } = render(name, { endAction: "pause" }, locale);
    if (name !== "payment-failed-notice") expect(text).toMatch(/paused|pausiert/);
    expect(text).not.toMatch(/cancel|beenden/);
  });

  test.each(failures)("%s keeps what the bank said of a lost card to itself", (name) => {
    const generic = render(name, { declineCode: "generic_decline" }, locale).html;
    for (const declineCode of ["lost_card", "stolen_card", "fraudulent", "pickup_card", null]) {
      expect(render(name, { declineCode }, locale).html).toBe(generic);
    }
  });
});

test("what the bank said is told where it explains the one payment that failed, and nowhere else", () => {
  const declineCode = "expired_card";
  const invoice = { amountDue: 4900, overdueSince: "2026-11-23T09:00:00Z" };
  const said = (invoices: object[]) => render("payment-failed-notice", { declineCode, invoices }).text;
  expect(said([invoice])).toContain("The card has expired.");
  expect(said([invoice, invoice])).not.toContain("The card has expired.");
  expect(said([{ ...invoice, collectionMethod: "send_invoice" }])).not.toContain("The card has expired.");
});

const linked: [EmailName, object, string][] = [
  ["payment-receipt", { hostedInvoiceUrl: null, invoicePdf: null }, "invoice.stripe.com"],
  ["payment-recovered", { hostedInvoiceUrl: null, invoicePdf: null }, "invoice.stripe.com"],
  ["payment-action-required", { hostedInvoiceUrl: null }, "invoice.stripe.com"],
  ["refund-issued", { receiptUrl: null }, "invoice.stripe.com"],
];

test.each(linked)("%s leaves out the links Stripe has not given", (name, without, host) => {
  expect(render(name).html).toContain(host);
  const { html, text } = render(name, without);
  expect(html).not.toContain(host);
  expect(html).not.toMatch(/href=""/);
  expect(text).not.toMatch(/View invoice|Download PDF|View details/);
});

test("a failure email without an invoice page leads to the billing page", () => {
  const invoices = [{ amountDue: 4900, overdueSince: "2026-11-23T09:00:00Z" }];
  const { text } = render("payment-failed-notice", { invoices });
  expect(text).toContain("Update payment method: https://northlight.example/settings/billing");
  expect(text).not.toContain("Pay €49.00");
});
