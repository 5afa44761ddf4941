import type { Customer, Discount, Invoice, InvoiceLine, TaxRate } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { applyCredits } from "./credits.ts";
import { amountOff } from "./discounts.ts";

function discountLine(world: World, line: InvoiceLine, discount: Discount, share: number): number {
  const coupon = discount.source.coupon ? world.store.get("coupon", discount.source.coupon) : undefined;
  // A fixed amount is for the whole invoice: a line bears its share of it.
  const off = coupon?.amount_off != null ? Math.round(share) : amountOff(world, discount, line.amount);
  line.discounts.push(discount.id);
  line.discount_amounts?.push({ amount: off, discount: discount.id });
  line.pretax_credit_amounts?.push({ amount: off, discount: discount.id, type: "discount" });
  return off;
}

function applyDiscounts(world: World, invoice: Invoice, discounts: Discount[]): number {
  const lines = invoice.lines.data.filter((line) => line.discountable && line.amount > 0);
  const base = lines.reduce((sum, line) => sum + line.amount, 0);
  for (const line of invoice.lines.data) {
    line.discounts = [];
    line.discount_amounts = [];
    line.pretax_credit_amounts = [];
  }
  invoice.total_discount_amounts = discounts.map((discount) => {
    const whole = amountOff(world, discount, base);
    const amount = lines.reduce(
      (sum, line) => sum + discountLine(world, line, discount, (whole * line.amount) / base),
      0,
    );
    return { amount, discount: discount.id };
  });
  invoice.discounts = discounts.map((discount) => discount.id);
  return invoice.total_discount_amounts.reduce((sum, { amount }) => sum + amount, 0);
}

function applyTaxes(invoice: Invoice, rates: TaxRate[]): { exclusive: number; inclusive: number } {
  const sums = { exclusive: 0, inclusive: 0 };
  const totals = new Map<string, NonNullable<Invoice["total_taxes"]>[number]>();
  for (const line of invoice.lines.data) {
    const off = (line.pretax_credit_amounts ?? []).reduce((sum, { amount }) => sum + amount, 0);
    const taxable = line.amount - off;
    line.taxes = rates.map((rate) => {
      const share = rate.percentage / (rate.inclusive ? 100 + rate.percentage : 100);
      const amount = Math.round(taxable * share);
      const behaviour = rate.inclusive ? "inclusive" : "exclusive";
      sums[behaviour] += amount;
      const tax = {
        amount,
        tax_behavior: behaviour,
        tax_rate_details: { tax_rate: rate.id },
        taxability_reason: "standard_rated",
        taxable_amount: taxable,
        type: "tax_rate_details",
      } satisfies NonNullable<InvoiceLine["taxes"]>[number];
      const total = totals.get(rate.id) ?? { ...tax, amount: 0, taxable_amount: 0 };
      total.amount += amount;
      total.taxable_amount = (total.taxable_amount ?? 0) + taxable;
      totals.set(rate.id, total);
      return tax;
    });
  }
  invoice.total_taxes = [...totals.values()];
  return sums;
}

/** Discounts and billing credits, all that is taken off before tax. */
function applyPretax(world: World, invoice: Invoice, discounts: Discount[], customer: Customer): number {
  const off = applyDiscounts(world, invoice, discounts);
  const used = applyCredits(world, customer, invoice.currency, invoice.lines.data);
  world.store.hidden.creditUsed.set(invoice.id, used);
  invoice.total_pretax_credit_amounts = [
    ...(invoice.total_discount_amounts ?? []).map((it) => ({ ...it, type: "discount" as const })),
    ...used.map(({ amount, transaction }) => ({
      amount,
      credit_balance_transaction: transaction,
      type: "credit_balance_transaction" as const,
    })),
  ];
  return used.reduce((sum, { amount }) => sum + amount, off);
}

/**
 * Work out everything an invoice says in money from its lines, discounts, billing credits, tax rates, shipping and the
 * customer's balance: lines - discounts - credits + tax + shipping = total, and total + balance = amount due.
 */
export function computeTotals(
  world: World,
  invoice: Invoice,
  discounts: Discount[],
  rates: TaxRate[],
  customer: Customer,
): void {
  const { balance } = customer;
  const subtotal = invoice.lines.data.reduce((sum, line) => sum + line.amount, 0);
  const off = applyPretax(world, invoice, discounts, customer);
  const tax = applyTaxes(invoice, rates);
  invoice.amount_shipping = invoice.shipping_cost?.amount_total ?? 0;
  invoice.subtotal = subtotal;
  invoice.subtotal_excluding_tax = subtotal - tax.inclusive;
  invoice.total = subtotal - off + tax.exclusive + invoice.amount_shipping;
  invoice.total_excluding_tax = invoice.total - tax.exclusive - tax.inclusive;
  invoice.starting_balance = balance;
  invoice.amount_due = Math.max(0, invoice.total + balance);
  invoice.amount_remaining = invoice.amount_due - invoice.amount_paid;
}
