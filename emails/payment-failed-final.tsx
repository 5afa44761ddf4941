import { Layout } from "./components/layout.tsx";
import { NewCardDeclined, OverdueInvoices, PayActions } from "./components/overdue-invoices.tsx";
import { Note, Paragraph } from "./components/text.tsx";
import type { PaymentFailedProps } from "./contract.ts";
import PaymentFailedNotice from "./payment-failed-notice.tsx";
import { nameInSubject } from "./rendering/names.ts";
import { owed } from "./rendering/overdue.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your Pro subscription ends on December 3, 2026” */
export function subject(props: Addressed<PaymentFailedProps>): string {
  const facts = owed(props);
  return speak(props).words.paymentFailed.final.subject({ ...facts, product: nameInSubject(facts.product) });
}

/** The last word before a subscription ends: when, what keeps it, and whom to talk to. */
export default function PaymentFailedFinal(props: Addressed<PaymentFailedProps>) {
  const { words, date, ...voice } = speak(props);
  const { final, leaving, nextAttempt } = words.paymentFailed;
  const facts = owed(props);
  const { deadline } = facts;
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={final.preview(facts)}
      status={final.status}
      tone="critical"
      title={final.title(facts)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{final.body({ ...facts, method: voice.method(props.paymentMethod) })}</Paragraph>
      <NewCardDeclined {...props} />
      {deadline ? <Paragraph>{final.deadline({ ...facts, deadline })}</Paragraph> : null}
      {props.leaving ? <Paragraph>{leaving}</Paragraph> : null}
      <PayActions {...props} />
      <OverdueInvoices {...props} />
      <Note>{props.nextPaymentAttempt ? nextAttempt(date(props.nextPaymentAttempt)) : null}</Note>
      <Note>{final.note(props.brand.supportEmail || undefined)}</Note>
    </Layout>
  );
}

PaymentFailedFinal.PreviewProps = {
  ...PaymentFailedNotice.PreviewProps,
  nextPaymentAttempt: null,
  daysLeft: 3,
} satisfies Addressed<PaymentFailedProps>;
