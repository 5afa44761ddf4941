import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { PaymentActionRequiredProps } from "./contract.ts";
import { previewInvoiceUrl, previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Please confirm your payment of €49.00 for Pro” */
export function subject(props: Addressed<PaymentActionRequiredProps>): string {
  const { words, money, product } = speak(props);
  const amount = money(props.amountDue, props.currency);
  return words.paymentActionRequired.subject(amount, nameInSubject(product(props.productName)));
}

/** The bank wants the customer to confirm a payment (3-D Secure): why, and where. */
export default function PaymentActionRequired(props: Addressed<PaymentActionRequiredProps>) {
  const { words, money, product: nameOf, ...voice } = speak(props);
  const { status, title, preview, body, action, note } = words.paymentActionRequired;
  const { labels } = words.common;
  const amount = money(props.amountDue, props.currency);
  const product = nameOf(props.productName);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview}
      status={status}
      tone="attention"
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body({ amount, product, method: voice.method(props.paymentMethod) })}</Paragraph>
      <Action href={props.hostedInvoiceUrl || voice.billingUrl}>{action}</Action>
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.plan, props.productName ? product : undefined],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
      <Note>{note}</Note>
    </Layout>
  );
}

PaymentActionRequired.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  amountDue: 4900,
  currency: "eur",
  invoiceNumber: "NL-0042",
  paymentMethod: { type: "card", brand: "visa", last4: "3220" },
  hostedInvoiceUrl: previewInvoiceUrl,
} satisfies Addressed<PaymentActionRequiredProps>;
