import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { RenewalAheadProps } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription renews on December 23, 2026” */
export function subject(props: Addressed<RenewalAheadProps>): string {
  const { words, product, date } = speak(props);
  return words.renewalAhead.subject(nameInSubject(product(props.productName)), date(props.renewsAt));
}

/** Weeks before a subscription renews for half a year or longer: when, for how much, and how not to. */
export default function RenewalAhead(props: Addressed<RenewalAheadProps>) {
  const { words, product: nameOf, date: formatDate, ...voice } = speak(props);
  const { status, title, preview, body, note } = words.renewalAhead;
  const { labels, manageBilling, addPaymentMethod } = words.common;
  const product = nameOf(props.productName);
  const date = formatDate(props.renewsAt);
  const price = props.price ? voice.price(props.price) : undefined;
  const method = voice.method(props.paymentMethod);
  const outlook =
    props.collectionMethod === "send_invoice" ? "invoiced" : method === undefined ? "missing" : "charged";
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview[outlook](date, method ?? "")}
      status={status}
      tone={outlook === "missing" ? "attention" : "neutral"}
      title={title(date)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{body[outlook]({ product, date, price, method: method ?? "" })}</Paragraph>
      <Action href={voice.billingUrl}>{outlook === "missing" ? addPaymentMethod : manageBilling}</Action>
      <Facts
        facts={[
          [labels.plan, product],
          [labels.renewsOn, date],
          [labels.price, price],
          [labels.paymentMethod, outlook === "charged" ? voice.methodLabel(props.paymentMethod) : undefined],
        ]}
      />
      <Note>{note(date)}</Note>
    </Layout>
  );
}

RenewalAhead.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  renewsAt: "2026-12-23T09:00:00Z",
  price: { amount: 49_000, currency: "eur", interval: "year", intervalCount: 1 },
  collectionMethod: "charge_automatically",
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
} satisfies Addressed<RenewalAheadProps>;
