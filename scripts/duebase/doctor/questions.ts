/** What no API shows: the operator is asked once, and the answer is kept with its date in billing.setup_answers. */
export interface Question {
  name: "stripe_retries" | "stripe_emails";
  /** What is asked; yes means that it is right. */
  asks: string;
  /** Where to look. */
  link: string;
  /** What to set there. */
  cure: string;
}

export const questions: Record<Question["name"], Question> = {
  stripe_retries: {
    name: "stripe_retries",
    asks: "Does Stripe retry failed payments for longer than your dunning policy, and leave the subscription past due afterwards?",
    link: "https://dashboard.stripe.com/settings/billing/automatic",
    cure: "let retries end later than the policy's last day, and afterwards: leave the subscription past-due",
  },
  stripe_emails: {
    name: "stripe_emails",
    asks: "Are Stripe's own mails to customers about failed payments, receipts and expiring cards off?",
    link: "https://dashboard.stripe.com/settings/billing/automatic",
    cure: "turn off the mails that Duebase sends, there and at https://dashboard.stripe.com/settings/emails",
  },
};
