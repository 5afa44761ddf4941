import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { CancellationUndoneProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription continues” */
export function subject(props: Addressed<CancellationUndoneProps>): string {
  const { words, product } = speak(props);
  return words.cancellationUndone.subject(nameInSubject(product(props.productName)));
}

/** A cancellation was taken back: the subscription does not end, and is charged again. */
export default function CancellationUndone(props: Addressed<CancellationUndoneProps>) {
  const { words, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, note } = words.cancellationUndone;
  const { labels, manageBilling } = words.common;
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
      <Paragraph>{body(product, date(props.wasToEndAt))}</Paragraph>
      <Action href={voice.billingUrl}>{manageBilling}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.price, props.price ? voice.price(props.price) : undefined],
          [labels.nextPayment, props.nextPaymentAt ? date(props.nextPaymentAt) : undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
      <Note>{note}</Note>
    </Layout>
  );
}

CancellationUndone.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  wasToEndAt: "2026-12-23T09:00:00Z",
  nextPaymentAt: "2026-12-23T09:00:00Z",
  price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
} satisfies Addressed<CancellationUndoneProps>;
