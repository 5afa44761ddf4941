import { Layout } from "./components/layout.tsx";
import { NewCardDeclined, OverdueInvoices, PayActions } from "./components/overdue-invoices.tsx";
import { Note, Paragraph, sentences } from "./components/text.tsx";
import type { PaymentFailedProps } from "./contract.ts";
import { previewInvoiceUrl, previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { explainDecline, owed } from "./rendering/overdue.ts";
import { type Addressed, speak } from "./rendering/voice.ts";

/** “Your payment of €49.00 for Pro didn’t go through” */
export function subject(props: Addressed<PaymentFailedProps>): string {
  const facts = owed(props);
  return speak(props).words.paymentFailed.notice.subject({ ...facts, product: nameInSubject(facts.product) });
}

/** The first word about a failed payment: what happened, and how little it takes to put it right. */
export default function PaymentFailedNotice(props: Addressed<PaymentFailedProps>) {
  const { words, date, ...voice } = speak(props);
  const { notice, leaving, continues, nextAttempt } = words.paymentFailed;
  const facts = owed(props);
  const { deadline } = facts;
  const reason = explainDecline(props);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={notice.preview}
      status={notice.status(facts.kind)}
      tone="attention"
      title={notice.title(facts.kind)}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>
        {sentences(notice.body({ ...facts, method: voice.method(props.paymentMethod) }), reason)}
      </Paragraph>
      <NewCardDeclined {...props} />
      {deadline ? (
        <Paragraph>
          {sentences(notice.deadline({ ...facts, deadline }), props.accessContinues ? continues : null)}
        </Paragraph>
      ) : null}
      {props.leaving ? <Paragraph>{leaving}</Paragraph> : null}
      <PayActions {...props} />
      <OverdueInvoices {...props} />
      <Note>{props.nextPaymentAttempt ? nextAttempt(date(props.nextPaymentAttempt)) : null}</Note>
    </Layout>
  );
}

PaymentFailedNotice.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  currency: "eur",
  invoices: [
    {
      productName: "Studio",
      invoiceNumber: "NL-0042",
      amountDue: 4900,
      overdueSince: "2026-11-23T09:00:00Z",
      hostedInvoiceUrl: previewInvoiceUrl,
      collectionMethod: "charge_automatically",
    },
  ],
  paymentMethod: { type: "card", brand: "visa", last4: "4242" },
  declineCode: "insufficient_funds",
  nextPaymentAttempt: "2026-11-26T09:00:00Z",
  accessEndsAt: "2026-12-03T12:00:00Z",
  daysLeft: 10,
  endAction: "cancel",
  accessContinues: true,
  leaving: false,
} satisfies Addressed<PaymentFailedProps>;
