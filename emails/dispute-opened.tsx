import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph, sentences } from "./components/text.tsx";
import type { DisputeOpenedProps } from "./contract.ts";
import type { Language } from "./languages/en.ts";
import { previewSetting } from "./preview/setting.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** Stripe's reason in words; a code that Stripe added since stays what it is. */
function reasonIn(words: Language, code: string | null | undefined): string | undefined {
  const { reasons } = words.disputeOpened;
  return code && Object.hasOwn(reasons, code) ? reasons[code as keyof typeof reasons] : code || undefined;
}

/** “A payment of €49.00 is disputed” */
export function subject(props: Addressed<DisputeOpenedProps>): string {
  const { words, money } = speak(props);
  return words.disputeOpened.subject[props.kind](money(props.amount, props.currency));
}

/** To the operator: a customer went to the bank about a payment, and what to do about it until when. */
export default function DisputeOpened(props: Addressed<DisputeOpenedProps>) {
  const { words, money, date: formatDate } = speak(props);
  const { status, title, preview, body, reason, answerBy, note, action } = words.disputeOpened;
  const { labels } = words.common;
  const amount = money(props.amount, props.currency);
  const date = props.answerBy ? formatDate(props.answerBy) : undefined;
  const given = reasonIn(words, props.disputeReason);
  return (
    <Layout
      {...props}
      to="operator"
      subject={subject(props)}
      preview={date === undefined ? preview.open : preview.answerBy(date)}
      status={status[props.kind]}
      tone="attention"
      title={title[props.kind](amount)}
    >
      <Paragraph>
        {sentences(body[props.kind](amount), given === undefined ? undefined : reason(given))}
      </Paragraph>
      <Paragraph>{date === undefined ? undefined : answerBy[props.kind](date)}</Paragraph>
      <Action href={props.url}>{action}</Action>
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.answerBy, date],
          [labels.dispute, props.disputeId],
          [labels.originalPayment, props.paymentId || undefined],
          [labels.customer, props.customerId || undefined],
        ]}
      />
      <Note>{note}</Note>
    </Layout>
  );
}

DisputeOpened.PreviewProps = {
  ...previewSetting,
  kind: "dispute",
  amount: 4900,
  currency: "eur",
  disputeReason: "product_not_received",
  answerBy: "2026-12-07T09:00:00Z",
  disputeId: "du_1QExampleExampleExample",
  paymentId: "pi_3QExampleExampleExample",
  customerId: "cus_ExampleExample",
  url: "https://dashboard.stripe.com/test/payments/pi_3QExampleExampleExample",
} satisfies Addressed<DisputeOpenedProps>;
