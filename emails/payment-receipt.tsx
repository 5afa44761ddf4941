import { Links } from "./components/action.tsx";
import { type AmountLine, Amounts } from "./components/amounts.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Figure, Note } from "./components/text.tsx";
import type { PaymentReceiptProps, ReceiptLine } from "./contract.ts";
import { previewInvoicePdf, previewInvoiceUrl, previewParties, previewSetting } from "./preview/setting.ts";
import { type BillPart, billParts, saysQuantity } from "./rendering/bill.ts";
import { type Addressed, speak, type Voice } from "./rendering/voice.ts";

/** Gmail cuts an email off at 102 KB: a long bill is left to the invoice. */
const linesShown = 20;

/** “Your receipt from Acme: €49.00 (NL-0042)” */
export function subject(props: Addressed<PaymentReceiptProps>): string {
  const { words, money } = speak(props);
  return words.paymentReceipt.subject({
    app: props.brand.appName,
    amount: money(props.amountPaid, props.currency),
    number: props.invoiceNumber || undefined,
  });
}

/** What was paid for, with tax and discounts, and the invoice to keep. */
export default function PaymentReceipt(props: Addressed<PaymentReceiptProps>) {
  const voice = speak(props);
  const { words, money, date } = voice;
  const { paymentReceipt: receipt } = words;
  const { labels, viewInvoice, downloadPdf } = words.common;
  const paid = money(props.amountPaid, props.currency);
  const hidden =
    Math.max(props.lines.length, props.lineCount ?? 0) - Math.min(props.lines.length, linesShown);
  const remark =
    props.moreLines && (props.lineCount ?? 0) <= props.lines.length
      ? receipt.moreLinesUncounted
      : hidden > 0
        ? receipt.moreLines(voice.number(hidden))
        : undefined;
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={receipt.preview(paid, date(props.paidAt))}
      status={receipt.status}
      tone="positive"
      title={receipt.title(props.brand.appName)}
    >
      <Figure caption={receipt.paidOn(date(props.paidAt))}>{paid}</Figure>
      <Links
        links={[
          props.hostedInvoiceUrl ? { href: props.hostedInvoiceUrl, children: viewInvoice } : undefined,
          props.invoicePdf ? { href: props.invoicePdf, children: downloadPdf } : undefined,
        ]}
      />
      <Amounts
        heads={[receipt.item, receipt.amount]}
        lines={props.lines.slice(0, linesShown).map((line) => billLine(line, props, voice))}
        remark={remark}
        totals={totals(props, voice)}
      />
      <Facts
        facts={[
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
          [labels.soldBy, voice.party(props.soldBy)],
          [
            labels.billedTo,
            voice.party({ ...props.billedTo, name: props.billedTo?.name || props.customerName }),
          ],
        ]}
      />
      <Note>{receipt.thanks}</Note>
    </Layout>
  );
}

function billLine(line: ReceiptLine, { currency }: PaymentReceiptProps, voice: Voice): AmountLine {
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

function totals(props: PaymentReceiptProps, { words, money, percent }: Voice): AmountLine[] {
  const receipt = words.paymentReceipt;
  const taxName = ({ label, rate }: BillPart) =>
    `${label ?? receipt.tax}${rate === undefined ? "" : ` ${percent(rate)}`}`;
  return billParts(props).map((part) => ({
    label:
      part.kind === "tax"
        ? taxName(part)
        : part.kind === "includedTax"
          ? receipt.taxIncluded(taxName(part))
          : (part.label ?? receipt.parts[part.kind]),
    amount: money(part.amount.toString(), props.currency),
  }));
}

PaymentReceipt.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  currency: "eur",
  invoiceNumber: "NL-0042",
  paidAt: "2026-11-23T09:00:00Z",
  lines: [
    {
      description: "3 × Studio (at €49.00 / month)",
      quantity: 3,
      amount: 14700,
      periodStart: "2026-11-23T09:00:00Z",
      periodEnd: "2026-12-23T09:00:00Z",
    },
    {
      description: "Extra storage, 100 GB",
      quantity: 1,
      amount: 900,
      periodStart: "2026-11-23T09:00:00Z",
      periodEnd: "2026-11-23T09:00:00Z",
    },
  ],
  discounts: [{ label: "Autumn offer", amount: 1560 }],
  taxes: [{ label: "VAT", rate: 23, amount: 3229, inclusive: false }],
  total: 17269,
  amountPaid: 17269,
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  hostedInvoiceUrl: previewInvoiceUrl,
  invoicePdf: previewInvoicePdf,
  ...previewParties,
} satisfies Addressed<PaymentReceiptProps>;
