import { Action } from "./components/action.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Note, Paragraph, sentences } from "./components/text.tsx";
import type { PlanChangedProps, PlanLine } from "./contract.ts";
import { previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** What a plan is called before and after, and whether it is another one or the same with other numbers. */
function plans(props: Addressed<PlanChangedProps>) {
  const { words, product, number } = speak(props);
  const names = (lines: readonly PlanLine[]) => lines.map(({ name }) => product(name)).join(", ");
  const counts = [...props.before, ...props.after].some(({ quantity }) => (quantity ?? 1) !== 1);
  const inFull = (lines: readonly PlanLine[]) =>
    lines
      .map(({ name, quantity }) =>
        counts && typeof quantity === "number"
          ? words.paymentReceipt.quantity(product(name), number(quantity))
          : product(name),
      )
      .join(", ");
  const kind: "plan" | "same" = names(props.before) === names(props.after) ? "same" : "plan";
  return { kind, name: names(props.after), before: inFull(props.before), after: inFull(props.after) };
}

/** “Your plan is now Studio Pro” */
export function subject(props: Addressed<PlanChangedProps>): string {
  const { kind, name } = plans(props);
  return speak(props).words.planChanged.subject[kind](nameInSubject(name));
}

/** Prices or quantities of a subscription changed: what it was, what it is, and what that cost. */
export default function PlanChanged(props: Addressed<PlanChangedProps>) {
  const { words, date: formatDate, money, ...voice } = speak(props);
  const { status, title, preview, body, price, note, ...said } = words.planChanged;
  const { labels, manageBilling } = words.common;
  const { kind, name, before, after } = plans(props);
  const date = formatDate(props.changedAt);
  const old = props.priceBefore ? voice.price(props.priceBefore) : undefined;
  const current = props.priceAfter ? voice.price(props.priceAfter) : undefined;
  const charged = props.charged ? money(props.charged.amount, props.charged.currency) : undefined;
  const isFree = props.charged != null && BigInt(props.charged.amount) === 0n;
  const isSamePlan = before === after;
  const isSamePrice = old === current;
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={preview(date)}
      status={status}
      tone="neutral"
      title={title[kind]}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {sentences(
          kind === "plan" ? body.plan(before, after, date) : body.same(name, date),
          current === undefined || isSamePrice ? undefined : price(current, old),
          charged === undefined ? undefined : isFree ? said.nothingCharged : said.charged(charged),
        )}
      </Paragraph>
      {props.noLongerEndsAt ? (
        <Paragraph>{said.noLongerEnds(formatDate(props.noLongerEndsAt))}</Paragraph>
      ) : null}
      <Action href={voice.billingUrl}>{manageBilling}</Action>
      <Facts
        facts={[
          [labels.planBefore, isSamePlan ? undefined : before],
          [isSamePlan ? labels.plan : labels.planAfter, after],
          [labels.priceBefore, isSamePrice ? undefined : old],
          [isSamePrice ? labels.price : labels.priceAfter, current],
          [labels.changedOn, date],
          [labels.charged, isFree ? undefined : charged],
          [labels.nextPayment, props.nextPaymentAt ? formatDate(props.nextPaymentAt) : undefined],
        ]}
      />
      <Note>{note}</Note>
    </Layout>
  );
}

PlanChanged.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  changedAt: "2026-11-23T09:00:00Z",
  before: [{ name: "Studio", quantity: 1 }],
  after: [{ name: "Atelier", quantity: 1 }],
  priceBefore: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
  priceAfter: { amount: 9900, currency: "eur", interval: "month", intervalCount: 1 },
  charged: { amount: 3871, currency: "eur" },
  nextPaymentAt: "2026-12-23T09:00:00Z",
} satisfies Addressed<PlanChangedProps>;
