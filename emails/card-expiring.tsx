import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph, sentences } from "./components/text.tsx";
import type { CardExpiringProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Visa ending in 4242 expires in December 2026” */
export function subject(props: Addressed<CardExpiringProps>): string {
  const voice = speak(props);
  return voice.words.cardExpiring.subject({
    method: voice.method(props.paymentMethod) ?? "",
    label: voice.methodLabel(props.paymentMethod) ?? "",
    expires: voice.month(props),
  });
}

/** A card runs out soon: which one, when, and where to leave the new one. */
export default function CardExpiring(props: Addressed<CardExpiringProps>) {
  const { words, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, nextPayment, note } = words.cardExpiring;
  const { labels, updatePaymentMethod } = words.common;
  const product = nameOf(props.productName);
  const expires = voice.month(props);
  const method = voice.method(props.paymentMethod) ?? "";
  const next = props.nextPaymentAt ? date(props.nextPaymentAt) : undefined;
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
      <Paragraph>
        {sentences(body({ method, expires, product }), next === undefined ? null : nextPayment(next))}
      </Paragraph>
      <Action href={voice.billingUrl}>{updatePaymentMethod}</Action>
      <Facts
        facts={[
          [labels.card, voice.methodLabel(props.paymentMethod)],
          [labels.expires, expires],
          [labels.plan, product],
          [labels.nextPayment, next],
        ]}
      />
      <Note>{note}</Note>
    </Layout>
  );
}

CardExpiring.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  expMonth: 12,
  expYear: 2026,
  nextPaymentAt: "2027-01-23T09:00:00Z",
} satisfies Addressed<CardExpiringProps>;
