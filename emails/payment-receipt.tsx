import { Links } from "./components/action.tsx";
import { type AmountLine, Amounts } from "./components/amounts.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Figure, Note } from "./components/text.tsx";
import type { MinorUnits, PaymentReceiptProps, ReceiptLine } from "./contract.ts";
import { previewInvoicePdf, previewInvoiceUrl, previewSetting } from "./preview/setting.ts";
import { type Addressed, speak, type Voice } from "./rendering/voice.ts";

/** Gmail cuts an email off at 102 KB: a long bill is left to the invoice. */
const linesShown = 20;

/** “Your receipt from Acme: €49.00” */
export function subject(props: Addressed<PaymentReceiptProps>): string {
  const { words, money } = speak(props);
  return words.paymentReceipt.subject({
    app: props.brand.appName,
    amount: money(props.amountPaid, props.currency),
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
        remark={hidden > 0 ? receipt.moreLines(voice.number(hidden)) : undefined}
        totals={totals(props, voice)}
      />
      <Facts
        facts={[
          [labels.billedTo, props.customerName || undefined],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
      <Note>{receipt.thanks}</Note>
    </Layout>
  );
}

function billLine(
  line: ReceiptLine,
  { currency, productName }: PaymentReceiptProps,
  voice: Voice,
): AmountLine {
  const description = line.description || voice.product(productName);
  const many = line.quantity && line.quantity > 1 ? voice.number(line.quantity) : undefined;
  return {
    label: many === undefined ? description : voice.words.paymentReceipt.quantity(description, many),
    detail: line.periodStart && line.periodEnd ? voice.period(line.periodStart, line.periodEnd) : undefined,
    amount: voice.money(line.amount, currency),
  };
}

function totals(props: PaymentReceiptProps, { words, money }: Voice): AmountLine[] {
  const receipt = words.paymentReceipt;
  const amount = (value: MinorUnits) => money(value, props.currency);
  const minus = (value: MinorUnits) => amount((-BigInt(value)).toString());
  const taxes = (props.taxes ?? []).map((tax) => ({ ...tax, label: tax.label || receipt.tax }));
  const discounts = props.discounts ?? [];
  const sums = [
    ...discounts.map(({ label, amount: value }) => ({
      label: label || receipt.discount,
      amount: minus(value),
    })),
    ...taxes
      .filter(({ inclusive }) => !inclusive)
      .map((tax) => ({ label: tax.label, amount: amount(tax.amount) })),
  ];
  const included = taxes
    .filter(({ inclusive }) => inclusive)
    .map((tax) => ({ label: receipt.taxIncluded(tax.label), amount: amount(tax.amount) }));
  const credit = props.creditApplied && BigInt(props.creditApplied) !== 0n ? props.creditApplied : undefined;
  const total = { label: receipt.total, amount: amount(props.total) };
  return [
    // A subtotal that nothing is added to or taken from would only be the total said twice.
    ...(sums.length > 0 ? [{ label: receipt.subtotal, amount: amount(props.subtotal) }, ...sums] : []),
    total,
    ...included,
    ...(credit === undefined ? [] : [{ label: receipt.creditApplied, amount: minus(credit) }]),
    { label: receipt.amountPaid, amount: amount(props.amountPaid) },
  ];
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
      description: "Studio, monthly",
      quantity: 3,
      amount: 14700,
      periodStart: "2026-11-23T09:00:00Z",
      periodEnd: "2026-12-23T09:00:00Z",
    },
    { description: "Extra storage, 100 GB", quantity: 1, amount: 900 },
  ],
  subtotal: 15600,
  discounts: [{ label: "Autumn offer, 10%", amount: 1560 }],
  taxes: [{ label: "VAT 23%", amount: 3229, inclusive: false }],
  total: 17269,
  creditApplied: null,
  amountPaid: 17269,
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  hostedInvoiceUrl: previewInvoiceUrl,
  invoicePdf: previewInvoicePdf,
} satisfies Addressed<PaymentReceiptProps>;
