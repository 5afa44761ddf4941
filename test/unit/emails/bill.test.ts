import fc from "fast-check";
import { expect, test } from "vitest";
import type { PaymentReceiptProps } from "../../../emails/contract.ts";
import { type BillPart, billParts, saysQuantity } from "../../../emails/rendering/bill.ts";
import { minorUnitDigits } from "../../../emails/rendering/format.ts";
import { render } from "./rendered.ts";
import "../../support/seeded-properties.ts";

const amount = fc.integer({ min: 0, max: 5_000_000 });
const maybe = (value: fc.Arbitrary<number>) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: value });

/** All there are, as Stripe writes them: of no, two and three decimals. */
const currencies = Intl.supportedValuesOf("currency").map((code) => code.toLowerCase());

/** Invoices whose parts make what Stripe says they make: total, and what is due after credit notes and balance. */
const invoices = fc
  .record({
    lines: fc.array(fc.integer({ min: -100_000, max: 5_000_000 }), { minLength: 1, maxLength: 12 }),
    discounts: fc.array(amount, { maxLength: 3 }),
    shipping: maybe(amount),
    taxes: fc.array(fc.record({ amount, inclusive: fc.boolean() }), { maxLength: 3 }),
    billingCredits: maybe(amount),
    creditsAreInTotal: fc.boolean(),
    creditNotes: maybe(amount),
    balanceBefore: maybe(fc.integer({ min: -3_000_000, max: 3_000_000 })),
    balanceAfter: maybe(fc.integer({ min: -3_000_000, max: 3_000_000 })),
    rounding: maybe(fc.integer({ min: -2, max: 2 })),
    hidden: fc.boolean(),
    currency: fc.constantFrom(...currencies),
  })
  .map((made) => {
    const exclusive = made.taxes.filter(({ inclusive }) => !inclusive);
    const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);
    const total =
      sum(made.lines) -
      sum(made.discounts) +
      made.shipping +
      sum(exclusive.map((tax) => tax.amount)) -
      (made.creditsAreInTotal ? made.billingCredits : 0) +
      made.rounding;
    const amountPaid =
      total -
      made.creditNotes -
      (made.creditsAreInTotal ? 0 : made.billingCredits) +
      made.balanceBefore -
      made.balanceAfter;
    const props: PaymentReceiptProps = {
      currency: made.currency,
      paidAt: "2026-11-23T09:00:00Z",
      lines: made.lines.map((value) => ({ description: "Item", amount: value })),
      moreLines: made.hidden,
      discounts: made.discounts.map((value) => ({ amount: value })),
      shipping: made.shipping,
      taxes: made.taxes,
      billingCredits: made.billingCredits,
      total,
      creditNotes: made.creditNotes,
      balanceBefore: made.balanceBefore,
      balanceAfter: made.balanceAfter,
      amountPaid,
    };
    return { props, made };
  });

const upTo = (parts: BillPart[], kind: BillPart["kind"]) => parts.findIndex((part) => part.kind === kind);
const added = (parts: readonly BillPart[]) =>
  parts.filter(({ kind }) => kind !== "includedTax").reduce((sum, part) => sum + part.amount, 0n);

test("the parts of a receipt make its total, and from there what was paid, whatever the invoice is made of", () => {
  fc.assert(
    fc.property(invoices, ({ props, made }) => {
      const parts = billParts(props);
      const total = upTo(parts, "total");
      const lines = made.lines.reduce((sum, value) => sum + value, 0);
      if (total > 0) {
        expect(parts[0]?.kind).toBe("subtotal");
        if (!made.hidden) expect(parts[0]?.amount).toBe(BigInt(lines));
        expect(added(parts.slice(0, total))).toBe(parts[total]?.amount);
      } else if (!made.hidden) {
        expect(BigInt(lines)).toBe(parts[total]?.amount);
      }
      expect(added(parts.slice(total, -1))).toBe(BigInt(props.amountPaid));
      expect(parts.at(-1)).toMatchObject({ kind: "paid", amount: BigInt(props.amountPaid) });
      // What has a name of its own is not called an adjustment.
      if (!made.hidden && made.rounding === 0)
        expect(parts.map(({ kind }) => kind)).not.toContain("adjustment");
      expect(
        parts.every(
          ({ kind, amount: value }) => ["total", "paid", "subtotal"].includes(kind) || value !== 0n,
        ),
      ).toBe(true);
    }),
    { numRuns: 500 },
  );
});

/** Reads a rendered amount back into minor units. */
function read(text: string, currency: string): bigint {
  const digits = minorUnitDigits(currency);
  // Some currencies have a dot in their own sign.
  const [number = "0"] = text.match(/\d[\d.,]*/) ?? [];
  const [whole = "0", rest = ""] = number.replace(/,/g, "").split(".");
  const value = BigInt(`${whole}${rest.padEnd(digits, "0")}`);
  return /-/.test(text) ? -value : value;
}

test("so does the text that is sent, in currencies of no, two and three decimals", () => {
  fc.assert(
    fc.property(invoices, ({ props }) => {
      const { text } = render("payment-receipt", {
        ...props,
        customerName: null,
        paymentMethod: null,
        invoiceNumber: null,
      });
      const rows = text
        .split("\n")
        .map((row) => /^([^:]+): (\D*[\d.,]+\D*)$/.exec(row.replaceAll("\u00a0", " ").trim()))
        .flatMap((match) =>
          match ? [{ label: match[1] ?? "", value: read(match[2] ?? "", props.currency) }] : [],
        );
      const at = (label: RegExp) => rows.findIndex((row) => label.test(row.label));
      const total = at(/^Total/);
      const paid = at(/^Amount paid/);
      expect(total, text).toBeGreaterThanOrEqual(0);
      expect(paid, text).toBeGreaterThan(total);
      const sum = rows
        .slice(total, paid)
        .filter(({ label }) => !/^Includes/.test(label))
        .reduce((all, row) => all + row.value, 0n);
      expect(sum, text).toBe(rows[paid]?.value);
      const subtotal = at(/^Subtotal/);
      if (subtotal >= 0) {
        expect(
          rows.slice(subtotal, total).reduce((all, row) => all + row.value, 0n),
          text,
        ).toBe(rows[total]?.value);
      }
    }),
    { numRuns: 60 },
  );
});

test.each([
  ["3 × Pro (at €10.00 / month)", 3, true],
  ["Remaining time on 3 × Pro after 1 Oct 2026", 3, true],
  ["1,500 × Requests (Tier 1 at €0.01 / month)", 1500, true],
  ["3 × Pro (at €10.00 / month)", 4, false],
  ["T-Shirt", 6, false],
  ["Model 6 T-Shirt", 6, false],
])("%s says a quantity of %i: %s", (description, quantity, says) => {
  expect(saysQuantity(description, quantity)).toBe(says);
});

test("a line without any name is not given the name of the plan", () => {
  const { text } = render("payment-receipt", {
    lines: [{ amount: 4900 }],
    discounts: null,
    taxes: null,
    total: 4900,
    amountPaid: 4900,
  });
  expect(text).toContain("Other item");
  expect(text).not.toContain("Studio");
});

test("more lines than are told are spoken of, counted where their number is known", () => {
  const ten = {
    lines: Array.from({ length: 10 }, () => ({ amount: 10 })),
    discounts: null,
    taxes: null,
    total: 200,
    amountPaid: 200,
  };
  expect(render("payment-receipt", { ...ten, moreLines: true }).text).toContain("And more on the invoice");
  expect(render("payment-receipt", { ...ten, moreLines: true, lineCount: 20 }).text).toContain(
    "And 10 more on the invoice",
  );
  expect(render("payment-receipt", { ...ten, moreLines: true }, "de").text).toContain(
    "Und weitere auf der Rechnung",
  );
});
