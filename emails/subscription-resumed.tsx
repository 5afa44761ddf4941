import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Paragraph } from "./components/text.tsx";
import type { SubscriptionResumedProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription is active again” */
export function subject(props: Addressed<SubscriptionResumedProps>): string {
  const { words, product } = speak(props);
  return words.subscriptionResumed.subject(nameInSubject(product(props.productName)));
}

/** A paused subscription goes on: since when, and what is paid next. */
export default function SubscriptionResumed(props: Addressed<SubscriptionResumedProps>) {
  const { words, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body } = words.subscriptionResumed;
  const { labels, manageBilling } = words.common;
  const product = nameOf(props.productName);
  const resumed = date(props.resumedAt);
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
      <Paragraph>{body(product, resumed)}</Paragraph>
      <Action href={voice.billingUrl}>{manageBilling}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.resumedOn, resumed],
          [labels.nextPayment, props.nextPaymentAt ? date(props.nextPaymentAt) : undefined],
          [labels.price, props.price ? voice.price(props.price) : undefined],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
        ]}
      />
    </Layout>
  );
}

SubscriptionResumed.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  resumedAt: "2027-01-01T00:00:00Z",
  nextPaymentAt: "2027-02-01T00:00:00Z",
  price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
} satisfies Addressed<SubscriptionResumedProps>;
