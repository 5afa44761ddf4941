import { Links } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Paragraph } from "./components/text.tsx";
import type { RefundFailedProps } from "./contract.ts";
import { previewInvoiceUrl, previewSetting } from "./preview/setting.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your refund of €49.00 from Acme could not be paid out” */
export function subject(props: Addressed<RefundFailedProps>): string {
  const { words, money } = speak(props);
  return words.refundFailed.subject[props.outcome](
    money(props.refundAmount, props.currency),
    props.brand.appName,
  );
}

/** A refund that was told of has come to nothing: what happened, and what to do about it. */
export default function RefundFailed(props: Addressed<RefundFailedProps>) {
  const { words, money, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, note } = words.refundFailed;
  const { labels } = words.common;
  const amount = money(props.refundAmount, props.currency);
  const product = nameOf(props.productName);
  const refund = { amount, product, date: date(props.issuedAt), method: voice.method(props.paymentMethod) };
  const paid = props.paymentAmount ?? undefined;
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview[props.outcome]}
      status={status[props.outcome]}
      tone="attention"
      title={title[props.outcome](amount)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body[props.outcome](refund)}</Paragraph>
      <Paragraph>{note[props.outcome](props.brand.supportEmail || undefined)}</Paragraph>
      <Links
        links={[
          props.receiptUrl ? { href: props.receiptUrl, children: words.refundIssued.viewReceipt } : undefined,
        ]}
      />
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.payment, paid === undefined ? undefined : money(paid, props.currency)],
          [labels.plan, props.productName ? product : undefined],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
    </Layout>
  );
}

RefundFailed.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  refundAmount: 4900,
  currency: "eur",
  outcome: "failed",
  paymentAmount: 4900,
  issuedAt: "2026-11-23T09:00:00Z",
  invoiceNumber: "NL-0042",
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  receiptUrl: previewInvoiceUrl,
} satisfies Addressed<RefundFailedProps>;
