import type { Bill } from "../contract.ts";

/** A sum of a receipt: what it is, the name it has of its own, and the amount with its sign, in minor units. */
export interface BillPart {
  kind:
    | "subtotal"
    | "discount"
    | "billingCredits"
    | "shipping"
    | "tax"
    | "adjustment"
    | "total"
    | "includedTax"
    | "creditNotes"
    | "carriedOver"
    | "creditUsed"
    | "creditAdded"
    | "carriedForward"
    | "paid";
  label?: string | undefined;
  /** Percent, of a tax. */
  rate?: number | undefined;
  amount: bigint;
}

/**
 * The sums below the lines of a receipt. From the subtotal down to the total they add up, and from the total down to
 * what was paid; where Stripe's parts do not, an adjustment says by how much. Included taxes are a remark and no part.
 *
 * Stripe's `subtotal` has discounts of single items taken off already, and `total_discount_amounts` names them again:
 * the subtotal shown is therefore what the lines come to.
 * https://docs.stripe.com/api/invoices/object#invoice_object-subtotal
 */
export function billParts(props: Bill): BillPart[] {
  const total = BigInt(props.total);
  const paid = BigInt(props.amountPaid);
  const taxes = (props.taxes ?? []).filter(({ amount }) => BigInt(amount) !== 0n);
  const discounts = (props.discounts ?? []).filter(({ amount }) => BigInt(amount) !== 0n);
  const before: BillPart[] = [
    ...discounts.map(({ label, amount }) => part("discount", -BigInt(amount), label)),
    ...parts("shipping", BigInt(props.shipping ?? 0)),
    ...taxes
      .filter(({ inclusive }) => !inclusive)
      .map(({ label, rate, amount }) => part("tax", BigInt(amount), label, rate)),
  ];
  const after: BillPart[] = [
    ...parts("creditNotes", -BigInt(props.creditNotes ?? 0)),
    ...balance(BigInt(props.balanceBefore ?? 0), BigInt(props.balanceAfter ?? 0)),
  ];

  const lines = hasAllLines(props) ? sum(props.lines.map(({ amount }) => BigInt(amount))) : undefined;
  const credits = parts("billingCredits", -BigInt(props.billingCredits ?? 0));
  // Stripe's reference leaves open whether credits for usage are within the total: they go where they close the sum.
  const isBelow =
    (lines === undefined || total - lines - sumOf(before) !== sumOf(credits)) &&
    paid - total - sumOf(after) === sumOf(credits);
  if (isBelow) after.push(...credits);
  else before.splice(discounts.length, 0, ...credits);

  const subtotal = lines ?? total - sumOf(before);
  before.push(...parts("adjustment", total - subtotal - sumOf(before)));
  after.push(...parts("adjustment", paid - total - sumOf(after)));
  return [
    // A subtotal that nothing is added to or taken from would only be the total said twice.
    ...(before.length > 0 ? [part("subtotal", subtotal), ...before] : []),
    part("total", total),
    ...taxes
      .filter(({ inclusive }) => inclusive)
      .map(({ label, rate, amount }) => part("includedTax", BigInt(amount), label, rate)),
    ...after,
    part("paid", paid),
  ];
}

/** Whether the lines that are told of are all the invoice has. */
export function hasAllLines({ lines, lineCount, moreLines }: Bill): boolean {
  return lines.length > 0 && !moreLines && (lineCount ?? lines.length) <= lines.length;
}

/**
 * Whether a line's description says its quantity already, as Stripe's own do: “3 × Pro (at €10.00 / month)”,
 * “Remaining time on 3 × Pro after 1 Oct 2026”.
 */
export function saysQuantity(description: string, quantity: number): boolean {
  return [...description.matchAll(/(?:^|\s)(\d[\d.,'\u00a0\u202f]*)\s*[×x](?=\s)/gu)].some(
    ([, digits = ""]) => digits.replace(/\D/g, "") === String(quantity).replace(/\D/g, ""),
  );
}

/** A customer's balance at Stripe is positive where they owe, negative where they have credit. */
function balance(before: bigint, after: bigint): BillPart[] {
  const change = before - after;
  if (change > 0n) return [part(before > 0n ? "carriedOver" : "creditAdded", change)];
  return parts(before < 0n ? "creditUsed" : "carriedForward", change);
}

function part(kind: BillPart["kind"], amount: bigint, label?: string | null, rate?: number | null): BillPart {
  return { kind, amount, label: label || undefined, rate: rate ?? undefined };
}

function parts(kind: BillPart["kind"], amount: bigint): BillPart[] {
  return amount === 0n ? [] : [part(kind, amount)];
}

const sum = (amounts: readonly bigint[]) => amounts.reduce((all, one) => all + one, 0n);
const sumOf = (these: readonly BillPart[]) => sum(these.map(({ amount }) => amount));
