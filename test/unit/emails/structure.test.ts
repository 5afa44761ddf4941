import { describe, expect, test } from "vitest";
import { renderStoredEmail } from "../../../emails/index.ts";
import { contentOf, previewOf, type Sample, samples, tags } from "./rendered.ts";

const emails = samples("en", "de");
const clippedByGmail = 102 * 1024;
const oneSpace = (text: string) => text.replace(/\s+/g, " ");

describe("every email, in every variant and language,", () => {
  /** One rule for all: a failure names the email that breaks it. */
  function rule(promise: string, holds: (email: Sample) => void): void {
    test(promise, () => {
      for (const email of emails) {
        try {
          holds(email);
        } catch (error) {
          throw new Error(email.name, { cause: error });
        }
      }
    });
  }

  rule("is a whole document in its language", ({ html, locale, subject }) => {
    expect(html).toMatch(/^<!DOCTYPE html [^>]*>\s*<html\b/);
    const root = tags(html).find(({ name }) => name === "html")?.attributes;
    expect(root?.lang).toBe(locale);
    expect(root?.dir).toBe("ltr");
    expect(html.match(/<title>/g)).toHaveLength(1);
    expect(oneSpace(contentOf(html, "title"))).toBe(subject);
    expect(html.match(/<h1\b/g)).toHaveLength(1);
  });

  rule("tells the clients that it knows the dark", ({ html }) => {
    const metas = tags(html).flatMap(({ name, attributes }) => (name === "meta" ? [attributes] : []));
    expect(metas).toContainEqual({ name: "color-scheme", content: "light dark" });
    expect(metas).toContainEqual({ name: "supported-color-schemes", content: "light dark" });
  });

  rule("leaves no colour behind in the dark", ({ html }) => {
    const rules = html.match(/@media \(prefers-color-scheme:dark\)\{([\s\S]*?\})\}<\/style>/)?.[1] ?? "";
    for (const { name, attributes } of tags(html)) {
      const style = `;${attributes.style ?? ""}`;
      const classes = (attributes.class ?? "").split(" ");
      const painted = (property: string) =>
        classes.some((one) => new RegExp(`\\.${one}\\{([^}]*;)?${property}:`).test(rules));
      // The body's inner cell is covered by the section within, which has the class.
      if (/;background-color:/.test(style) && !/font-family/.test(style)) {
        expect(painted("background-color"), `${name} ${style}`).toBe(true);
      }
      if (/;color:/.test(style)) expect(painted("color"), `${name} ${style}`).toBe(true);
      if (/;border(-top)?:1px/.test(style)) expect(painted("border-color"), `${name} ${style}`).toBe(true);
    }
  });

  rule("shows a preview in the inbox that is neither empty nor the subject again", ({ html, subject }) => {
    const preview = html.match(/<div style="display:none[^>]*>([^<]+)</)?.[1]?.trim() ?? "";
    expect(preview.length).toBeGreaterThan(15);
    expect(preview.length).toBeLessThanOrEqual(140);
    expect(preview).not.toBe(subject);
  });

  rule("loads nothing and runs nothing", ({ html }) => {
    const elements = tags(html);
    const active = /^(script|link|iframe|form|object|embed|video|svg|base)$/;
    expect(elements.filter(({ name }) => active.test(name))).toEqual([]);
    expect(html).not.toMatch(/@import|@font-face|url\(|expression\(|javascript:/i);
    const attributes = elements.flatMap((element) => Object.keys(element.attributes));
    expect(attributes.filter((key) => key.startsWith("on"))).toEqual([]);
  });

  rule("links to whole addresses, which are in the plain text too", ({ html, text, brand }) => {
    const links = tags(html).flatMap(({ name, attributes }) => (name === "a" ? [attributes.href ?? ""] : []));
    expect(links.length).toBeGreaterThan(1);
    for (const link of links) {
      expect(link).toMatch(/^(https?:\/\/[a-z0-9.-]+\/|mailto:[^@\s]+@[^@\s]+$)/);
      // The name on top leads to the front page: the plain text has no such ornament.
      if (link !== new URL(brand.appUrl).href) expect(text).toContain(link.replace(/^mailto:/, ""));
    }
  });

  rule("is no wider than 600 pixels", ({ html }) => {
    const widest = Math.max(
      ...[...html.matchAll(/max-width:(\d+)px[;"]/g)].map(([, width]) => Number(width)),
    );
    expect(widest).toBeLessThanOrEqual(600);
    expect(widest).toBeGreaterThanOrEqual(500);
    for (const { attributes } of tags(html))
      expect(attributes.width ?? "100%").toMatch(/^(100%|[1-5]?\d?\d)$/);
  });

  rule("says to a screen reader which tables hold data", ({ html }) => {
    const tables = html.match(/<table\b[^>]*>(?:(?!<table\b)[\s\S])*?<\/table>/g) ?? [];
    expect(tables.length).toBeGreaterThan(0);
    for (const table of tables) {
      const [opening, ...inside] = tags(table);
      const heads = inside.filter(({ name }) => name === "th");
      if (opening?.attributes.role === "presentation") expect(heads).toEqual([]);
      else expect(heads.length).toBeGreaterThan(0);
      for (const { attributes } of heads) expect(attributes.scope).toMatch(/^(row|col)$/);
    }
  });

  rule("is not cut off by Gmail", ({ html }) => {
    expect(Buffer.byteLength(html)).toBeLessThan(clippedByGmail);
  });

  rule("has a plain text that begins with its title and does not shout", ({ html, text }) => {
    expect(text.length).toBeGreaterThan(200);
    expect(text.startsWith(`${oneSpace(contentOf(html, "h1"))}\n\n`)).toBe(true);
    expect(text).not.toMatch(/[\p{Lu} ]{12,}/u);
    expect(text).not.toMatch(/<[a-z/]|&[a-z#0-9]+;|\n{3}|[ \t]$/m);
    expect(text).toMatch(/[^\n]\n$/);
  });

  rule("has no gap where a word should be", ({ html, text, subject }) => {
    for (const part of [subject, text, contentOf(html, "body").replace(/[\u200b-\u200d\ufeff]/g, "")]) {
      expect(part).not.toMatch(/undefined|\bNaN\b|\bnull\b|\[object |Invalid Date/);
      expect(part).not.toMatch(/\$\{|\(\)| [,;:]|\. \.|,\s*,|„“/);
    }
  });

  rule("has a subject that fits a line", ({ subject }) => {
    expect(subject).not.toMatch(/[\r\n\t]| {2}|[.!]$/);
    expect(subject.length).toBeGreaterThan(8);
    expect(subject.length).toBeLessThanOrEqual(90);
  });
});

test("says who writes where images are off", () => {
  const { props, brand } = previewOf("trial-ending");
  const logoUrl = "https://northlight.example/logo.png";
  const { html } = renderStoredEmail("trial-ending", props, { brand: { ...brand, logoUrl } });
  const [logo, ...others] = tags(html).filter(({ name }) => name === "img");
  expect(logo?.attributes).toMatchObject({ src: logoUrl, alt: brand.appName });
  expect(logo?.attributes.style).toContain("color:");
  expect(others).toEqual([]);
  expect(tags(html).filter(({ name }) => name === "link")).toEqual([]);
  // A wide logo is bounded on both sides and fixed on none.
  expect(logo?.attributes.style).toMatch(/(^|;)height:auto;max-height:32px;width:auto;max-width:200px/);
  // Dark logos get a light plate in the dark, and the name on it must not be light as well.
  expect(html).toMatch(/\.logo\{background-color:#ffffff !important;color:#1b1b1a !important/);
});

test("a receipt of a thousand lines is not cut off either", () => {
  const { props, brand } = previewOf("payment-receipt");
  const lines = Array.from({ length: 1000 }, (_, index) => ({
    description: `Seat ${index} ${"é".repeat(200)}`,
    amount: 100,
    periodStart: "2026-11-23T09:00:00Z",
    periodEnd: "2026-12-23T09:00:00Z",
  }));
  const { html, text } = renderStoredEmail("payment-receipt", { ...props, lines }, { brand });
  expect(Buffer.byteLength(html)).toBeLessThan(clippedByGmail);
  expect(text).toContain("And 980 more on the invoice");
});

test("a reminder of fifty invoices is not cut off either", () => {
  const { props, brand } = previewOf("payment-failed-final");
  const invoices = Array.from({ length: 50 }, (_, index) => ({
    productName: `${index} ${"é".repeat(200)}`,
    invoiceNumber: `NL-${index} ${"é".repeat(200)}`,
    amountDue: "900000000000",
    overdueSince: "2026-11-23T09:00:00Z",
    hostedInvoiceUrl: `https://invoice.stripe.com/i/${"x".repeat(120)}${index}`,
  }));
  const { html } = renderStoredEmail("payment-failed-final", { ...props, invoices }, { brand });
  expect(Buffer.byteLength(html)).toBeLessThan(clippedByGmail);
});

test.each(emails)(
  "$name says important as Outlook, Orange, Yahoo and Gmail read it: lower case, behind a space",
  ({ html }) => {
    expect(html).toContain(" !important");
    expect(html).not.toMatch(/[^ ]!\s*important/i);
    expect(html.match(/!\s*important/gi)?.every((said) => said === "!important")).toBe(true);
  },
);
