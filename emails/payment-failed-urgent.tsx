import { Layout } from "./components/layout.tsx";
import { NewCardDeclined, OverdueInvoices, PayActions } from "./components/overdue-invoices.tsx";
import { Note, Paragraph, sentences } from "./components/text.tsx";
import type { PaymentFailedProps } from "./contract.ts";
import PaymentFailedNotice from "./payment-failed-notice.tsx";
import { nameInSubject } from "./rendering/names.ts";
import { explainDecline, owed } from "./rendering/overdue.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Reminder: €49.00 for Pro is still unpaid” */
export function subject(props: Addressed<PaymentFailedProps>): string {
  const facts = owed(props);
  return speak(props).words.paymentFailed.urgent.subject({ ...facts, product: nameInSubject(facts.product) });
}

/** Some days later: still unpaid, until when there is time, and what usually helps. */
export default function PaymentFailedUrgent(props: Addressed<PaymentFailedProps>) {
  const { words, date, ...voice } = speak(props);
  const { urgent, leaving, nextAttempt } = words.paymentFailed;
  const facts = owed(props);
  const { deadline } = facts;
  const reason = explainDecline(props);
  const isPayment = facts.kind === "payment";
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={urgent.preview(facts)}
      status={urgent.status}
      tone="attention"
      title={urgent.title(facts.amount)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {sentences(urgent.body({ ...facts, method: voice.method(props.paymentMethod) }), reason)}
      </Paragraph>
      <NewCardDeclined {...props} />
      {deadline ? <Paragraph>{urgent.deadline({ ...facts, deadline })}</Paragraph> : null}
      {props.leaving ? <Paragraph>{leaving}</Paragraph> : null}
      <PayActions {...props} />
      <OverdueInvoices {...props} />
      <Note>
        {sentences(
          props.nextPaymentAttempt ? nextAttempt(date(props.nextPaymentAttempt)) : null,
          isPayment ? urgent.note[voice.mayBeCard(props.paymentMethod) ? "card" : "other"] : null,
        )}
      </Note>
    </Layout>
  );
}

PaymentFailedUrgent.PreviewProps = {
  ...PaymentFailedNotice.PreviewProps,
  daysLeft: 7,
} satisfies Addressed<PaymentFailedProps>;
