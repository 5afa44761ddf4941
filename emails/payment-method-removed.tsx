import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { PaymentMethodRemovedProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Please add a payment method for Studio” */
export function subject(props: Addressed<PaymentMethodRemovedProps>): string {
  const { words, product } = speak(props);
  return words.paymentMethodRemoved.subject(nameInSubject(product(props.productName)));
}

/** What the next payment was to be charged to is gone, and nothing else is there: until when to add something. */
export default function PaymentMethodRemoved(props: Addressed<PaymentMethodRemovedProps>) {
  const { words, product: nameOf, date: formatDate, ...voice } = speak(props);
  const { status, title, preview, body, note } = words.paymentMethodRemoved;
  const { labels, addPaymentMethod } = words.common;
  const product = nameOf(props.productName);
  const date = formatDate(props.nextPaymentAt);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview(date)}
      status={status}
      tone="attention"
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {body({ product, date, method: voice.method(props.removed ?? { type: "other" }) ?? "" })}
      </Paragraph>
      <Action href={voice.billingUrl}>{addPaymentMethod}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.price, props.price ? voice.price(props.price) : undefined],
          [labels.nextPayment, date],
        ]}
      />
      <Note>{note(date)}</Note>
    </Layout>
  );
}

PaymentMethodRemoved.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  nextPaymentAt: "2026-12-23T09:00:00Z",
  price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
  removed: { type: "card", brand: "visa", last4: "4242" },
} satisfies Addressed<PaymentMethodRemovedProps>;
