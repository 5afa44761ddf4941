import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { TrialEndingProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro trial ends in 3 days” */
export function subject(props: Addressed<TrialEndingProps>): string {
  const { words, product, date } = speak(props);
  return words.trialEnding.subject({
    product: nameInSubject(product(props.productName)),
    count: props.daysLeft,
    date: date(props.trialEnd),
    leaving: props.leaving,
  });
}

/** A few days before a trial ends: what happens then, or what is missing for it. */
export default function TrialEnding(props: Addressed<TrialEndingProps>) {
  const { words, product: nameOf, date: formatDate, ...voice } = speak(props);
  const { status, title, preview, body, note } = words.trialEnding;
  const { labels, manageBilling, addPaymentMethod } = words.common;
  const product = nameOf(props.productName);
  const date = formatDate(props.trialEnd);
  const method = voice.method(props.paymentMethod);
  const isFree = props.price != null && BigInt(props.price.amount) === 0n;
  const outlook = props.leaving ? "leaving" : isFree ? "free" : method === undefined ? "missing" : "charged";
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={
        {
          charged: preview.charged(date, method ?? ""),
          free: preview.free(date),
          missing: preview.missing(date),
          leaving: preview.leaving,
        }[outlook]
      }
      status={status}
      tone={outlook === "missing" ? "attention" : "neutral"}
      title={title(props.daysLeft)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {outlook === "charged"
          ? body.charged({ product, date, method: method ?? "" })
          : body[outlook]({ product, date })}
      </Paragraph>
      <Action href={voice.billingUrl}>{outlook === "missing" ? addPaymentMethod : manageBilling}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.trialEnds, date],
          [labels.price, props.price && !props.leaving ? voice.price(props.price) : undefined],
          [labels.paymentMethod, props.leaving ? undefined : voice.methodLabel(props.paymentMethod)],
        ]}
      />
      <Note>{note[outlook]}</Note>
    </Layout>
  );
}

TrialEnding.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  trialEnd: "2026-11-26T09:00:00Z",
  daysLeft: 3,
  price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  leaving: false,
} satisfies Addressed<TrialEndingProps>;
