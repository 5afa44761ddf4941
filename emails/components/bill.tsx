import type { Bill, ReceiptLine } from "../contract.ts";
import { type BillPart, billParts, saysQuantity } from "../rendering/bill.ts";
import type { Voice } from "../rendering/voice.ts";
import { type AmountLine, Amounts } from "./amounts.tsx";

/** Gmail cuts an email off at 102 KB: a long bill is left to the invoice. */
const linesShown = 20;

/** What was paid for: the lines of an invoice, and how they add up to what was paid. */
export function PaidBill({ bill, voice }: { bill: Bill; voice: Voice }) {
  const { paymentReceipt: receipt } = voice.words;
  const hidden = Math.max(bill.lines.length, bill.lineCount ?? 0) - Math.min(bill.lines.length, linesShown);
  const remark =
    bill.moreLines && (bill.lineCount ?? 0) <= bill.lines.length
      ? receipt.moreLinesUncounted
      : hidden > 0
        ? receipt.moreLines(voice.number(hidden))
        : undefined;
  return (
    <Amounts
      heads={[receipt.item, receipt.amount]}
      lines={bill.lines.slice(0, linesShown).map((line) => billLine(line, bill, voice))}
      remark={remark}
      totals={totals(bill, voice)}
    />
  );
}

function billLine(line: ReceiptLine, { currency }: Bill, voice: Voice): AmountLine {
  const receipt = voice.words.paymentReceipt;
  const description = line.description || receipt.unnamed;
  const { quantity } = line;
  const isSaid = !quantity || quantity === 1 || saysQuantity(description, quantity);
  return {
    label: isSaid ? description : receipt.quantity(description, voice.number(quantity)),
    detail: line.periodStart && line.periodEnd ? voice.period(line.periodStart, line.periodEnd) : undefined,
    amount: voice.money(line.amount, currency),
  };
}

function totals(bill: Bill, { words, money, percent }: Voice): AmountLine[] {
  const receipt = words.paymentReceipt;
  const taxName = ({ label, rate }: BillPart) =>
    `${label ?? receipt.tax}${rate === undefined ? "" : ` ${percent(rate)}`}`;
  return billParts(bill).map((part) => ({
    label:
      part.kind === "tax"
        ? taxName(part)
        : part.kind === "includedTax"
          ? receipt.taxIncluded(taxName(part))
          : (part.label ?? receipt.parts[part.kind]),
    amount: money(part.amount.toString(), bill.currency),
  }));
}
