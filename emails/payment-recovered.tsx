import { Section } from "react-email";
import { Links, TextLink } from "./components/action.tsx";
import { Amounts } from "./components/amounts.tsx";
import { PaidBill } from "./components/bill.tsx";
import { Facts } from "./components/facts.tsx";
import { Layout } from "./components/layout.tsx";
import { Paragraph, sentences } from "./components/text.tsx";
import type { PaymentRecoveredProps, StillOwed } from "./contract.ts";
import { previewInvoicePdf, previewInvoiceUrl, previewParties, previewSetting } from "./preview/setting.ts";
import { nameInSubject } from "./rendering/names.ts";
import { type Addressed, speak, type Voice } from "./rendering/voice.ts";
import { space } from "./theme.ts";

/** “Thank you, your payment of €49.00 for Pro arrived” */
export function subject(props: Addressed<PaymentRecoveredProps>): string {
  const { words, money, product } = speak(props);
  const amount = money(props.amountPaid, props.currency);
  return words.paymentRecovered.subject(amount, nameInSubject(product(props.productName)));
}

/** Relief after a failure email: it is paid, and the earlier emails can be forgotten. */
export default function PaymentRecovered(props: Addressed<PaymentRecoveredProps>) {
  const voice = speak(props);
  const { words, money, product: nameOf, date } = voice;
  const { status, title, preview, body, nothingOverdue, continues, leaving } = words.paymentRecovered;
  const stillOwed = props.stillOwed ?? [];
  const { labels, viewInvoice, downloadPdf } = words.common;
  const amount = money(props.amountPaid, props.currency);
  const product = nameOf(props.productName);
  return (
    <Layout
      {...props}
      subject={subject(props)}
      preview={
        props.nothingOverdue
          ? preview.nothingLeft
          : stillOwed.length > 0
            ? preview.more
            : preview.paid(amount)
      }
      status={status}
      tone="positive"
      title={title}
    >
      <Paragraph>{voice.greeting(props.customerName)}</Paragraph>
      <Paragraph>{sentences(body(amount, product), props.nothingOverdue ? nothingOverdue : null)}</Paragraph>
      <Paragraph>{props.leaving ? leaving : continues}</Paragraph>
      <Links
        links={[
          props.hostedInvoiceUrl ? { href: props.hostedInvoiceUrl, children: viewInvoice } : undefined,
          props.invoicePdf ? { href: props.invoicePdf, children: downloadPdf } : undefined,
        ]}
      />
      {stillOwed.length > 0 ? (
        <OtherDebts debts={stillOwed} more={props.moreOwed ?? 0} voice={voice} />
      ) : null}
      {props.bill ? (
        <PaidBill
          bill={{ ...props.bill, currency: props.currency, amountPaid: props.amountPaid }}
          voice={voice}
        />
      ) : null}
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.plan, props.productName ? product : undefined],
          [labels.paidOn, date(props.paidAt)],
          [labels.paymentMethod, voice.methodLabel(props.paymentMethod)],
          [labels.invoice, props.invoiceNumber || undefined],
          [labels.soldBy, voice.party(props.soldBy)],
          [labels.billedTo, voice.party(props.billedTo)],
        ]}
      />
    </Layout>
  );
}

/** What the reader still has to pay, each with the page where that is done. */
function OtherDebts({ debts, more, voice }: { debts: readonly StillOwed[]; more: number; voice: Voice }) {
  const { paymentRecovered, paymentFailed, common } = voice.words;
  return (
    <Section style={{ paddingTop: space.gap }}>
      <Paragraph>{paymentRecovered.stillOwed}</Paragraph>
      <Amounts
        heads={[paymentFailed.several, common.labels.amount]}
        lines={debts.map((debt) => ({
          label: voice.product(debt.productName),
          detail: (
            <>
              {paymentFailed.since(voice.date(debt.overdueSince))}
              {debt.hostedInvoiceUrl || debt.invoiceNumber ? "\u00a0· " : ""}
              {debt.hostedInvoiceUrl ? (
                <TextLink href={debt.hostedInvoiceUrl}>{debt.invoiceNumber || common.viewInvoice}</TextLink>
              ) : (
                debt.invoiceNumber
              )}
            </>
          ),
          amount: voice.money(debt.amountDue, debt.currency),
        }))}
        remark={more > 0 ? paymentFailed.moreInvoices(voice.number(more)) : undefined}
        totals={[]}
      />
    </Section>
  );
}

PaymentRecovered.PreviewProps = {
  ...previewSetting,
  customerName: "Ada",
  productName: "Studio",
  amountPaid: 4900,
  currency: "eur",
  paidAt: "2026-11-28T14:05:00Z",
  invoiceNumber: "NL-0042",
  paymentMethod: { type: "card", brand: "mastercard", last4: "4444" },
  hostedInvoiceUrl: previewInvoiceUrl,
  invoicePdf: previewInvoicePdf,
  bill: {
    lines: [
      {
        description: "Studio, monthly",
        amount: 4900,
        periodStart: "2026-11-23T09:00:00Z",
        periodEnd: "2026-12-23T09:00:00Z",
      },
    ],
    taxes: [{ label: "VAT", rate: 23, amount: 916, inclusive: true }],
    total: 4900,
  },
  leaving: false,
  nothingOverdue: true,
  ...previewParties,
} satisfies Addressed<PaymentRecoveredProps>;
