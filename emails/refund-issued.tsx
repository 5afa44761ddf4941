import { Links } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Paragraph } from "./components/text.tsx";
import type { RefundIssuedProps } from "./contract.ts";
import { previewInvoiceUrl, previewSetting } from "./preview/setting.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your refund of €49.00 from Acme” */
export function subject(props: Addressed<RefundIssuedProps>): string {
  const { words, money } = speak(props);
  return words.refundIssued.subject(money(props.refundAmount, props.currency), props.brand.appName);
}

/** Money on its way back: how much, where to, and when it can be expected. */
export default function RefundIssued(props: Addressed<RefundIssuedProps>) {
  const { words, money, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, timing, viewReceipt } = words.refundIssued;
  const { labels } = words.common;
  const amount = money(props.refundAmount, props.currency);
  const product = nameOf(props.productName);
  const known = props.paymentAmount ?? undefined;
  const paid = known === undefined ? undefined : money(known, props.currency);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview}
      status={status}
      tone="positive"
      title={title(amount)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {props.scope === "full" ? body.full(amount, product) : body.partial(amount, product, paid)}
      </Paragraph>
      <Paragraph>{timing(voice.method(props.paymentMethod), voice.mayBeCard(props.paymentMethod))}</Paragraph>
      <Links links={[props.receiptUrl ? { href: props.receiptUrl, children: viewReceipt } : undefined]} />
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.refundedOn, date(props.issuedAt)],
          [labels.payment, props.scope === "partial" ? paid : undefined],
          [labels.plan, props.productName ? product : undefined],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
    </Layout>
  );
}

RefundIssued.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  refundAmount: 4900,
  currency: "eur",
  scope: "full",
  paymentAmount: 4900,
  issuedAt: "2026-11-23T09:00:00Z",
  invoiceNumber: "NL-0042",
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  receiptUrl: previewInvoiceUrl,
} satisfies Addressed<RefundIssuedProps>;
