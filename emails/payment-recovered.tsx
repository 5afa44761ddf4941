import { Links } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Paragraph } from "./components/text.tsx";
import type { PaymentRecoveredProps } from "./contract.ts";
import { previewInvoicePdf, previewInvoiceUrl, previewParties, previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Thank you, your payment of €49.00 for Pro arrived” */
export function subject(props: Addressed<PaymentRecoveredProps>): string {
  const { words, money, product } = speak(props);
  const amount = money(props.amountPaid, props.currency);
  return words.paymentRecovered.subject(amount, nameInSubject(product(props.productName)));
}

/** Relief after a failure email: it is paid, and the earlier emails can be forgotten. */
export default function PaymentRecovered(props: Addressed<PaymentRecoveredProps>) {
  const { words, money, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, continues, leaving } = words.paymentRecovered;
  const { labels, viewInvoice, downloadPdf } = words.common;
  const amount = money(props.amountPaid, props.currency);
  const product = nameOf(props.productName);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview}
      status={status}
      tone="positive"
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body(amount, product)}</Paragraph>
      <Paragraph>{props.leaving ? leaving : continues}</Paragraph>
      <Links
        links={[
          props.hostedInvoiceUrl ? { href: props.hostedInvoiceUrl, children: viewInvoice } : undefined,
          props.invoicePdf ? { href: props.invoicePdf, children: downloadPdf } : undefined,
        ]}
      />
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.plan, product],
          [labels.paidOn, date(props.paidAt)],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.soldBy, voice.party(props.soldBy)],
          [labels.billedTo, voice.party(props.billedTo)],
        ]}
      />
    </Layout>
  );
}

PaymentRecovered.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  amountPaid: 4900,
  currency: "eur",
  paidAt: "2026-11-28T14:05:00Z",
  invoiceNumber: "NL-0042",
  paymentMethod: { type: "card", brand: "mastercard", last4: "4444" },
  hostedInvoiceUrl: previewInvoiceUrl,
  invoicePdf: previewInvoicePdf,
  leaving: false,
  ...previewParties,
} satisfies Addressed<PaymentRecoveredProps>;
