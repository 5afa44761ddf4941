import type { ReactElement } from "react";
import CancellationUndone, { subject as cancellationUndone } from "../cancellation-undone.tsx";
import CardExpiring, { subject as cardExpiring } from "../card-expiring.tsx";
import type { EmailName, EmailProps } from "../contract.ts";
import DisputeOpened, { subject as disputeOpened } from "../dispute-opened.tsx";
import PaymentActionRequired, { subject as paymentActionRequired } from "../payment-action-required.tsx";
import PaymentFailedFinal, { subject as paymentFailedFinal } from "../payment-failed-final.tsx";
import PaymentFailedNotice, { subject as paymentFailedNotice } from "../payment-failed-notice.tsx";
import PaymentFailedUrgent, { subject as paymentFailedUrgent } from "../payment-failed-urgent.tsx";
import PaymentMethodRemoved, { subject as paymentMethodRemoved } from "../payment-method-removed.tsx";
import PaymentReceipt, { subject as paymentReceipt } from "../payment-receipt.tsx";
import PaymentRecovered, { subject as paymentRecovered } from "../payment-recovered.tsx";
import PlanChanged, { subject as planChanged } from "../plan-changed.tsx";
import RefundFailed, { subject as refundFailed } from "../refund-failed.tsx";
import RefundIssued, { subject as refundIssued } from "../refund-issued.tsx";
import RenewalAhead, { subject as renewalAhead } from "../renewal-ahead.tsx";
import SubscriptionCanceled, { subject as subscriptionCanceled } from "../subscription-canceled.tsx";
import SubscriptionPaused, { subject as subscriptionPaused } from "../subscription-paused.tsx";
import SubscriptionResumed, { subject as subscriptionResumed } from "../subscription-resumed.tsx";
import TrialEndedWithoutCard, { subject as trialEndedWithoutCard } from "../trial-ended-without-card.tsx";
import TrialEnding, { subject as trialEnding } from "../trial-ending.tsx";
import type { Addressed } from "./voice.ts";

/** A template: what it draws, and the subject it goes out under. */
export interface Template<Props> {
  Body: ((props: Addressed<Props>) => ReactElement) & { PreviewProps: Addressed<Props> };
  subject: (props: Addressed<Props>) => string;
}

/** Every template by the name under which it is enqueued. */
export const templates: { [Name in EmailName]: Template<EmailProps[Name]> } = {
  "trial-ending": { Body: TrialEnding, subject: trialEnding },
  "trial-ended-without-card": { Body: TrialEndedWithoutCard, subject: trialEndedWithoutCard },
  "payment-failed-notice": { Body: PaymentFailedNotice, subject: paymentFailedNotice },
  "payment-failed-urgent": { Body: PaymentFailedUrgent, subject: paymentFailedUrgent },
  "payment-failed-final": { Body: PaymentFailedFinal, subject: paymentFailedFinal },
  "payment-action-required": { Body: PaymentActionRequired, subject: paymentActionRequired },
  "payment-recovered": { Body: PaymentRecovered, subject: paymentRecovered },
  "subscription-canceled": { Body: SubscriptionCanceled, subject: subscriptionCanceled },
  "subscription-paused": { Body: SubscriptionPaused, subject: subscriptionPaused },
  "subscription-resumed": { Body: SubscriptionResumed, subject: subscriptionResumed },
  "payment-receipt": { Body: PaymentReceipt, subject: paymentReceipt },
  "refund-issued": { Body: RefundIssued, subject: refundIssued },
  "refund-failed": { Body: RefundFailed, subject: refundFailed },
  "card-expiring": { Body: CardExpiring, subject: cardExpiring },
  "renewal-ahead": { Body: RenewalAhead, subject: renewalAhead },
  "plan-changed": { Body: PlanChanged, subject: planChanged },
  "cancellation-undone": { Body: CancellationUndone, subject: cancellationUndone },
  "dispute-opened": { Body: DisputeOpened, subject: disputeOpened },
  "payment-method-removed": { Body: PaymentMethodRemoved, subject: paymentMethodRemoved },
};
