import { describe, expect, test } from "vitest";
import { EmailError, emailNames, isEmailName, renderStoredEmail } from "../../../emails/index.ts";
import { previewOf, render } from "./rendered.ts";

function failure(run: () => unknown): EmailError {
  try {
    run();
  } catch (error) {
    if (error instanceof EmailError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

describe("props that cannot be rendered", () => {
  test.each([
    ["payment-recovered", { amountPaid: 49.5 }, "amountPaid", /integer/],
    ["payment-recovered", { amountPaid: "12,50" }, "amountPaid", /integer/],
    ["payment-recovered", { amountPaid: Number.NaN }, "amountPaid", /integer/],
    ["payment-recovered", { amountPaid: 2 ** 60 }, "amountPaid", /integer/],
    ["payment-recovered", { amountPaid: null }, "amountPaid", /integer/],
    ["payment-recovered", { currency: "euro" }, "currency", /three letters/],
    ["payment-recovered", { paidAt: "2026-11-23" }, "paidAt", /time zone/],
    ["payment-recovered", { paidAt: 1_700_000_000 }, "paidAt", /string/],
    ["payment-recovered", { leaving: "no" }, "leaving", /boolean/],
    ["payment-recovered", { hostedInvoiceURL: "https://x.example" }, "hostedInvoiceURL", /no such field/],
    ["payment-recovered", { hostedInvoiceUrl: "javascript:alert(1)" }, "hostedInvoiceUrl", /https/],
    ["payment-recovered", { hostedInvoiceUrl: "data:text/html,x" }, "hostedInvoiceUrl", /https/],
    ["payment-recovered", { hostedInvoiceUrl: "/invoices/1" }, "hostedInvoiceUrl", /absolute/],
    ["payment-recovered", { invoicePdf: `https://x.example/${"a".repeat(3000)}` }, "invoicePdf", /2048/],
    ["payment-recovered", { invoicePdf: "https://user:secret@x.example/" }, "invoicePdf", /password/],
    [
      "payment-recovered",
      { hostedInvoiceUrl: "https://billing.stripe.com/p/session/test_x" },
      "hostedInvoiceUrl",
      /portal/,
    ],
    ["payment-failed-final", { invoices: [] }, "invoices", /no invoice/],
    ["payment-failed-final", { invoices: [{ amountDue: 1 }] }, "invoices[0].overdueSince", /string/],
    ["payment-failed-final", { daysLeft: -1 }, "daysLeft", /days/],
    ["payment-receipt", { lines: [{ amount: 1 }, { amount: "x" }] }, "lines[1].amount", /integer/],
    ["payment-receipt", { lines: Array(1001).fill({ amount: 1 }) }, "lines", /lineCount/],
    ["card-expiring", { expMonth: 13 }, "expMonth", /1 to 12/],
    [
      "card-expiring",
      { paymentMethod: { type: "card", last4: "12345" } },
      "paymentMethod.last4",
      /last four/,
    ],
    ["subscription-canceled", { reason: "bored" }, "reason", /requested/],
  ] as const)("%s with %j are refused at %s", (template, changes, field, problem) => {
    const error = failure(() => render(template, changes));
    expect(error).toMatchObject({ code: "invalid_props", template, field });
    expect(error.message).toContain(`email ${template}: ${field}: `);
    expect(error.message).toMatch(problem);
  });

  test("that are no object at all are refused", () => {
    for (const props of [null, undefined, "x", 7, []]) {
      const { brand } = previewOf("trial-ending");
      expect(failure(() => renderStoredEmail("trial-ending", props, { brand })).code).toBe("invalid_props");
    }
  });

  test("are refused for every field a template cannot do without", () => {
    for (const template of emailNames) {
      const { brand } = previewOf(template);
      const error = failure(() => renderStoredEmail(template, {}, { brand }));
      expect(error).toMatchObject({ code: "invalid_props", template });
      expect(error.field).not.toBe("");
    }
  });
});

test("optional props may be null, missing, or as JSON has them", () => {
  for (const template of emailNames) {
    const { brand, props } = previewOf(template);
    const stored = JSON.parse(JSON.stringify(props));
    expect(renderStoredEmail(template, stored, { brand }).html).toBe(
      renderStoredEmail(template, props, { brand }).html,
    );
  }
  const bare = { amountPaid: "4900", currency: "EUR", paidAt: "2026-11-28 14:05:00+00", leaving: false };
  const nulls = {
    customerName: null,
    productName: null,
    invoiceNumber: null,
    paymentMethod: null,
    invoicePdf: null,
  };
  const { brand } = previewOf("payment-recovered");
  const sparse = renderStoredEmail("payment-recovered", bare, { brand });
  expect(sparse.html).toBe(renderStoredEmail("payment-recovered", { ...bare, ...nulls }, { brand }).html);
  expect(sparse.subject).toBe("Thank you, your payment of €49.00 for Northlight arrived");
});

test("a name that is no template's is refused, whatever it inherits", () => {
  const { brand } = previewOf("trial-ending");
  for (const name of ["welcome", "toString", "__proto__", ""]) {
    expect(isEmailName(name)).toBe(false);
    expect(failure(() => renderStoredEmail(name, {}, { brand }))).toMatchObject({
      code: "unknown_template",
      template: name,
    });
  }
});

describe("a brand", () => {
  test.each([
    [{ appUrl: "northlight.example" }, "brand.appUrl"],
    [{ appUrl: "ftp://northlight.example" }, "brand.appUrl"],
    [{ billingUrl: "https://billing.stripe.com/session/live_x" }, "brand.billingUrl"],
    [{ logoUrl: "data:image/png;base64,AAAA" }, "brand.logoUrl"],
    [{ supportEmail: "not an address" }, "brand.supportEmail"],
    [{ supportEmail: "a@b.example?bcc=c@d.example" }, "brand.supportEmail"],
    [{ appName: " " }, "brand.appName"],
    [{ colour: "#000000" }, "brand.colour"],
  ])("%j is refused at %s", (changes, field) => {
    expect(failure(() => render("trial-ending", {}, "en", changes))).toMatchObject({
      code: "invalid_brand",
      field,
    });
  });

  test("without what it can do without still writes", () => {
    const { props } = previewOf("payment-failed-final");
    const brand = { appName: "Northlight", appUrl: "http://127.0.0.1:3000" };
    const { html, text } = renderStoredEmail("payment-failed-final", props, { brand });
    expect(text).toContain("http://127.0.0.1:3000/");
    expect(text).toContain("Just get in touch");
    expect(html).not.toContain("mailto:");
  });

  test("with a colour or time zone nobody knows falls back instead of failing", () => {
    const { html } = render("trial-ending", {}, "en", {
      color: "red; } body { display: none",
      timeZone: "Mars/Olympus",
    });
    expect(html).toBe(render("trial-ending", {}, "en", { color: null, timeZone: "UTC" }).html);
  });
});
