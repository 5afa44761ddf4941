import { Action, Alternative } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { SubscriptionPausedProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription is paused” */
export function subject(props: Addressed<SubscriptionPausedProps>): string {
  const { words, product } = speak(props);
  return words.subscriptionPaused.subject(nameInSubject(product(props.productName)));
}

/** A subscription rests: why, and what makes it go on. */
export default function SubscriptionPaused(props: Addressed<SubscriptionPausedProps>) {
  const { words, product: nameOf, date, ...voice } = speak(props);
  const { status, title, preview, body, note, action, unpaid } = words.subscriptionPaused;
  const { labels, manageBilling } = words.common;
  const { reason } = props;
  const due = props.unpaid && {
    ...props.unpaid,
    sum: voice.money(props.unpaid.amount, props.unpaid.currency),
  };
  const product = nameOf(props.productName);
  const paused = date(props.pausedAt);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={due ? preview.unpaid(due.sum) : preview.open[reason]}
      status={status}
      tone={reason === "requested" ? "neutral" : "attention"}
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body[reason](product, paused)}</Paragraph>
      {due ? (
        <>
          <Paragraph>{unpaid(due.sum, due.count)}</Paragraph>
          {due.hostedInvoiceUrl ? (
            <>
              <Action href={due.hostedInvoiceUrl}>{words.paymentFailed.pay(due.sum)}</Action>
              <Alternative href={voice.billingUrl}>{manageBilling}</Alternative>
            </>
          ) : (
            <Action href={voice.billingUrl}>{words.paymentFailed.review}</Action>
          )}
        </>
      ) : (
        <Action href={voice.billingUrl}>{action[reason]}</Action>
      )}
      <Facts
        facts={[
          [labels.amount, due ? due.sum : undefined],
          [labels.plan, product],
          [labels.pausedOn, paused],
        ]}
      />
      <Note>{due ? null : note[reason]}</Note>
    </Layout>
  );
}

SubscriptionPaused.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  reason: "requested",
  pausedAt: "2026-11-23T09:00:00Z",
} satisfies Addressed<SubscriptionPausedProps>;
