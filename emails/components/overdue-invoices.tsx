import type { OverdueInvoice, PaymentFailedProps } from "../contract.ts";
import { type Debt, debts, listed, owed, subscriptionsOf } from "../rendering/overdue.ts";
import { type Addressed, speak, type Voice } from "../rendering/voice.ts";
import { Action, Alternative, TextLink } from "./action.tsx";
import { Amounts } from "./amounts.tsx";
import { Facts } from "./facts.tsx";
import { Paragraph } from "./text.tsx";

/** What is owed: the facts of a single invoice, or a bill of several. */
export function OverdueInvoices(props: Addressed<PaymentFailedProps>) {
  const voice = speak(props);
  const { words, money, date } = voice;
  const { labels } = words.common;
  const { amount, deadline, ownDates } = owed(props);
  const [single, ...others] = props.invoices;
  const all = debts(props);
  // Of several subscriptions each may have been charged to a card of its own.
  const isOne = others.length === 0 || !single?.subscription || subscriptionsOf(all) === 1;
  const shared = [
    [labels.paymentMethod, isOne ? voice.methodLabel(props.paymentMethod) : undefined],
    [labels.nextAttempt, props.nextPaymentAttempt ? date(props.nextPaymentAttempt) : undefined],
    [labels.payBy, ownDates ? undefined : deadline?.payBy],
  ] as const;
  if (single && others.length === 0) {
    return (
      <Facts
        facts={[
          [labels.amount, amount],
          [labels.plan, voice.product(single.productName)],
          [labels.invoice, invoiceLink(single, voice)],
          [labels.overdueSince, date(single.overdueSince)],
          ...shared,
        ]}
      />
    );
  }
  const { invoices, more } = listed(props);
  return (
    <>
      <Amounts
        heads={[words.paymentFailed.several, labels.amount]}
        lines={all.slice(0, invoices.length).map((debt) => ({
          label: voice.product(debt.invoice.productName),
          detail: <DebtDetail debt={debt} ownDates={ownDates} voice={voice} />,
          amount: money(debt.invoice.amountDue, props.currency),
        }))}
        remark={more > 0 ? words.paymentFailed.moreInvoices(voice.number(more)) : undefined}
        totals={[{ label: words.paymentFailed.total, amount }]}
      />
      <Facts facts={shared} />
    </>
  );
}

/** Since when an invoice is unpaid, and where each has its own, until when it can be and what happens then. */
function DebtDetail({ debt, ownDates, voice }: { debt: Debt; ownDates: boolean; voice: Voice }) {
  const { invoice, deadline, leaving } = debt;
  const { since, unlessPaid, endsAnyway } = voice.words.paymentFailed;
  const terms = deadline ? unlessPaid(deadline) : leaving ? endsAnyway : undefined;
  return (
    <>
      {since(voice.date(invoice.overdueSince))}
      {invoice.hostedInvoiceUrl || invoice.invoiceNumber ? "\u00a0· " : ""}
      {invoiceLink(invoice, voice)}
      {ownDates && terms ? (
        <>
          <br />
          {terms}
        </>
      ) : null}
    </>
  );
}

/** Who has given another card since has to know that it was tried. */
export function NewCardDeclined(props: Addressed<PaymentFailedProps>) {
  const { words, methodLabel } = speak(props);
  const method = methodLabel(props.newCardDeclined);
  return <Paragraph>{method ? words.paymentFailed.newCardDeclined(method) : null}</Paragraph>;
}

/** Pays the one invoice where Stripe has a page for it, else leads to where everything can be paid. */
export function PayActions(props: Addressed<PaymentFailedProps>) {
  const { words, billingUrl } = speak(props);
  const { pay, review } = words.paymentFailed;
  const [single, ...others] = props.invoices;
  if (others.length > 0) return <Action href={billingUrl}>{review}</Action>;
  if (!single?.hostedInvoiceUrl) return <Action href={billingUrl}>{words.common.updatePaymentMethod}</Action>;
  return (
    <>
      <Action href={single.hostedInvoiceUrl}>{pay(owed(props).amount)}</Action>
      <Alternative href={billingUrl}>{words.common.orUpdatePaymentMethod}</Alternative>
    </>
  );
}

function invoiceLink({ invoiceNumber, hostedInvoiceUrl }: OverdueInvoice, { words }: Voice) {
  if (!hostedInvoiceUrl) return invoiceNumber || undefined;
  return <TextLink href={hostedInvoiceUrl}>{invoiceNumber || words.common.viewInvoice}</TextLink>;
}
