import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { TrialEndedWithoutCardProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro trial has ended” */
export function subject(props: Addressed<TrialEndedWithoutCardProps>): string {
  const { words, product } = speak(props);
  return words.trialEnded.subject(nameInSubject(product(props.productName)));
}

/** A trial ended and nobody could be charged: what became of the subscription, and the way back. */
export default function TrialEndedWithoutCard(props: Addressed<TrialEndedWithoutCardProps>) {
  const { words, product: nameOf, date: formatDate, ...voice } = speak(props);
  const { status, title, preview, body, note, action } = words.trialEnded;
  const { labels } = words.common;
  const product = nameOf(props.productName);
  const date = formatDate(props.trialEnd);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview}
      status={status}
      tone="neutral"
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body[props.outcome]({ product, date })}</Paragraph>
      <Action href={voice.billingUrl}>{action[props.outcome]}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.trialEnded, date],
          [labels.price, props.price ? voice.price(props.price) : undefined],
        ]}
      />
      <Note>{note[props.outcome]}</Note>
    </Layout>
  );
}

TrialEndedWithoutCard.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  trialEnd: "2026-11-26T09:00:00Z",
  outcome: "paused",
  price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
} satisfies Addressed<TrialEndedWithoutCardProps>;
