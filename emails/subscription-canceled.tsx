import { Action, Alternative } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { SubscriptionCanceledProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription has been canceled” */
export function subject(props: Addressed<SubscriptionCanceledProps>): string {
  const { words, product, date } = speak(props);
  return words.subscriptionCanceled.subject[props.reason](
    nameInSubject(product(props.productName)),
    date(props.endsAt),
  );
}

/** A subscription ended or will: since when, what is still owed, and the way back. */
export default function SubscriptionCanceled(props: Addressed<SubscriptionCanceledProps>) {
  const { words, product: nameOf, date: formatDate, utcDay, ...voice } = speak(props);
  const { status, title, preview, body, bodyUnpaid, openInvoice, unlessPaid, note, action, payOpenInvoice } =
    words.subscriptionCanceled;
  const { labels } = words.common;
  const { reason, openInvoice: open, unlessPaid: first } = props;
  const product = nameOf(props.productName);
  const date = formatDate(props.endsAt);
  const due = open ? voice.money(open.amountDue, open.currency) : undefined;
  const runsOn = reason === "at_period_end";
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={runsOn ? (due ? openInvoice(due) : preview.at_period_end(date)) : preview[reason]}
      status={status[reason]}
      tone="neutral"
      title={runsOn ? title.at_period_end(date) : title[reason]}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{runsOn && due ? bodyUnpaid(product, date) : body[reason](product, date)}</Paragraph>
      {due === undefined ? null : (
        <Paragraph>
          {openInvoice(due)}
          {first ? ` ${unlessPaid[first.action](utcDay(first.at, 1), utcDay(first.at))}` : null}
        </Paragraph>
      )}
      <Action href={voice.billingUrl}>{action[reason]}</Action>
      {open?.hostedInvoiceUrl ? (
        <Alternative href={open.hostedInvoiceUrl}>{payOpenInvoice}</Alternative>
      ) : null}
      <Facts
        facts={[
          [labels.plan, product],
          [runsOn ? labels.endsOn : labels.endedOn, date],
        ]}
      />
      <Note>{note[reason]}</Note>
    </Layout>
  );
}

SubscriptionCanceled.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  reason: "nonpayment",
  endsAt: "2026-12-03T09:00:00Z",
  openInvoice: null,
} satisfies Addressed<SubscriptionCanceledProps>;
