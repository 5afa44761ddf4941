import { Links } from "./components/action.tsx";
import { PaidBill } from "./components/bill.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Figure, Note } from "./components/text.tsx";
import type { PaymentReceiptProps } from "./contract.ts";
import { previewInvoicePdf, previewInvoiceUrl, previewParties, previewSetting } from "./preview/setting.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

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
      <PaidBill bill={props} voice={voice} />
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
