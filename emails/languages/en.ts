/**
 * Every sentence of every email in English. A language is an object of this shape: what is missing in it is a
 * compile error. Names, amounts and dates arrive ready to be set; sentences say what is so, and threaten no one.
 */

/** What is overdue: one payment that failed, one invoice past its date, or more than one thing. */
export type Overdue = "payment" | "invoice" | "several";

/** What happens if nothing is paid. */
export interface Deadline {
  /** The last day to pay. */
  payBy: string;
  /** The day after it, on which something is taken away. */
  endsOn: string;
  /** Whole days until `endsOn`; undefined where it is not known. */
  days: number | undefined;
  /** The later day on which the subscription was to end anyway. */
  setToEndOn: string | undefined;
  action: "cancel" | "pause";
}

/** What a payment method is, where it has no name of its own. */
export type MethodKind = "card" | "bankAccount" | "other";

export interface Owed {
  kind: Overdue;
  /** The sum owed, with its currency. */
  amount: string;
  product: string;
  app: string;
  /** Undefined where nothing will be taken away, also because the customer is leaving anyway. Of several, the first. */
  deadline: Deadline | undefined;
  /** How many subscriptions something is taken away of; 1 where nothing is. */
  subscriptions: number;
  /** What happens, and when, is not the same for all that is owed: it stands beside each. */
  ownDates: boolean;
}

/** A renewal that lies ahead. */
export interface Renewal {
  product: string;
  date: string;
  /** Undefined where it cannot be told. */
  price: string | undefined;
  /** What is charged, as it stands within a sentence; nothing where nothing is. */
  method: string;
}

const days = (count: number) => (count === 1 ? "1 day" : `${count} days`);
const inDays = (count: number) => (count <= 0 ? "today" : count === 1 ? "tomorrow" : `in ${days(count)}`);
const subscription = ({ subscriptions, product, app }: Owed) =>
  subscriptions > 1 ? `your ${app} subscriptions` : `your ${product} subscription`;
/** Several subscriptions that do not end on one day. */
const oneByOne = ({ subscriptions, ownDates }: Owed) => subscriptions > 1 && ownDates;
const left = ({ days: count }: Deadline) =>
  count === undefined || count < 2 ? "" : ` (${days(count - 1)} left)`;
const renews = (product: string, date: string, price: string | undefined) =>
  `Your ${product} subscription renews automatically on ${date}${price === undefined ? "" : ` at ${price}`}.`;
const methods = { card: "card", bankAccount: "bank account", other: "payment method" };
const intervals = { day: "day", week: "week", month: "month", year: "year" };

export const en = {
  /** BCP 47, as short as it may be: formats follow the customer’s own region where Stripe knows it. */
  code: "en",
  direction: "ltr" as "ltr" | "rtl",

  common: {
    greeting: (name: string | undefined) => (name === undefined ? "Hi," : `Hi ${name},`),
    price: ({
      amount,
      interval,
      count,
    }: {
      amount: string;
      interval: keyof typeof intervals;
      count: number;
    }) =>
      count === 1
        ? `${amount} per ${intervals[interval]}`
        : `${amount} every ${count} ${intervals[interval]}s`,
    plusTax: (price: string) => `${price}, plus tax`,
    /** A payment method within a sentence; `name` is a brand or a wallet, where Stripe tells it. */
    method: ({
      name,
      kind,
      last4,
    }: {
      name: string | undefined;
      kind: MethodKind;
      last4: string | undefined;
    }) => (last4 === undefined ? (name ?? methods[kind]) : `${name ?? methods[kind]} ending in ${last4}`),
    /** The same standing by itself, in a table. */
    methodLabel: ({
      name,
      kind,
      last4,
    }: {
      name: string | undefined;
      kind: MethodKind;
      last4: string | undefined;
    }) => {
      const label = name ?? `${methods[kind].charAt(0).toUpperCase()}${methods[kind].slice(1)}`;
      return last4 === undefined ? label : `${label} ••••\u00a0${last4}`;
    },
    invoiceNumber: (number: string) => `Invoice ${number}`,
    taxId: (kind: "vat" | "other", value: string) => `${kind === "vat" ? "VAT ID" : "Tax ID"} ${value}`,
    viewInvoice: "View invoice",
    downloadPdf: "Download PDF",
    manageBilling: "Manage billing",
    addPaymentMethod: "Add payment method",
    updatePaymentMethod: "Update payment method",
    orUpdatePaymentMethod: "Or update your payment method for this and future payments",
    labels: {
      plan: "Plan",
      price: "Price",
      amount: "Amount",
      invoice: "Invoice",
      paymentMethod: "Payment method",
      card: "Card",
      expires: "Expires",
      overdueSince: "Unpaid since",
      nextAttempt: "Next attempt",
      payBy: "Please pay by",
      billedTo: "Billed to",
      soldBy: "Issued by",
      paidOn: "Paid on",
      trialEnds: "Trial ends",
      trialEnded: "Trial ended",
      endsOn: "Ends on",
      endedOn: "Ended on",
      pausedOn: "Paused on",
      resumedOn: "Resumed on",
      nextPayment: "Next payment",
      renewsOn: "Renews on",
      answerBy: "Answer by",
      dispute: "Dispute",
      originalPayment: "Payment",
      customer: "Customer",
      planBefore: "Previous plan",
      priceBefore: "Previous price",
      planAfter: "New plan",
      priceAfter: "New price",
      changedOn: "Changed on",
      charged: "Charged for it",
      refundedOn: "Refunded on",
      payment: "Original payment",
    },
    footer: {
      reason: (app: string) => `You’re receiving this email because it concerns your ${app} account.`,
      operator: (app: string) => `You’re receiving this email because you look after the billing of ${app}.`,
      help: (address: string) => `Questions? Write to ${address}.`,
    },
  },

  trialEnding: {
    status: "Trial ending",
    subject: ({
      product,
      count,
      date,
      leaving,
    }: {
      product: string;
      count: number;
      date: string;
      leaving: boolean;
    }) => (leaving ? `Your ${product} trial ends on ${date}` : `Your ${product} trial ends ${inDays(count)}`),
    title: (count: number) => `Your trial ends ${inDays(count)}`,
    preview: {
      charged: (date: string, method: string) =>
        `Your subscription starts on ${date}, paid with your ${method}.`,
      free: (date: string) => `Your subscription starts on ${date}, and nothing is charged.`,
      missing: (date: string) => `Add a payment method before ${date} to keep going without a break.`,
      leaving: "You have already canceled, so you won’t be charged.",
    },
    body: {
      charged: ({ product, date, method }: { product: string; date: string; method: string }) =>
        `We hope you’re enjoying ${product}. Your trial ends on ${date}. Your subscription starts then, and we’ll charge your ${method}. There is nothing you need to do.`,
      free: ({ product, date }: { product: string; date: string }) =>
        `We hope you’re enjoying ${product}. Your trial ends on ${date} and your subscription starts then. Your discount covers all of it, so nothing will be charged.`,
      missing: ({ product, date }: { product: string; date: string }) =>
        `We hope you’re enjoying ${product}. Your trial ends on ${date}, and we don’t have a payment method for you yet. Add one before then and your subscription carries on without a break.`,
      leaving: ({ product, date }: { product: string; date: string }) =>
        `Your ${product} trial ends on ${date}. As you have canceled, it won’t be renewed and you won’t be charged.`,
    },
    note: {
      charged: "If you’d rather not continue, you can cancel any time before that date and won’t be charged.",
      free: "If you’d rather not continue, you can cancel any time before that date.",
      missing: "If you’d rather not continue, there is nothing you need to do.",
      leaving: "Changed your mind? Until then you can undo this on your billing page.",
    },
  },

  trialEnded: {
    status: "Trial ended",
    subject: (product: string) => `Your ${product} trial has ended`,
    title: "Your trial has ended",
    preview: "Nothing was charged. Add a payment method if you’d like to continue.",
    body: {
      canceled: ({ product, date }: { product: string; date: string }) =>
        `Your ${product} trial ended on ${date}. As there was no payment method, your subscription has been canceled. Nothing was charged.`,
      paused: ({ product, date }: { product: string; date: string }) =>
        `Your ${product} trial ended on ${date}. As there was no payment method, your subscription is paused. Nothing was charged.`,
    },
    note: {
      canceled: "If you’d like to continue, you can subscribe on your billing page at any time.",
      paused: "If you’d like to continue, add a payment method on your billing page.",
    },
    action: { canceled: "Subscribe", paused: "Add payment method" },
  },

  paymentFailed: {
    pay: (amount: string) => `Pay ${amount}`,
    review: "Review and pay",
    several: "What is unpaid",
    total: "Total",
    since: (date: string) => `unpaid since ${date}`,
    moreInvoices: (count: string) => `And ${count} more`,
    leaving:
      "Your subscription is already set to end, and that stays as it is. This is only about the time before that.",
    continues: "Everything keeps working in the meantime.",
    /** Beside each of several debts. */
    unlessPaid: ({ payBy, endsOn, action, setToEndOn }: Deadline) =>
      `${action === "pause" ? "paused" : "ends"} on ${endsOn}${setToEndOn === undefined ? "" : ` instead of ${setToEndOn}`} unless paid by ${payBy}`,
    endsAnyway: "its subscription is already set to end",
    nextAttempt: (date: string) =>
      `We’ll try again automatically on ${date}, but you don’t have to wait for that.`,
    /** Only what the customer can act on; a lost or blocked card is for the bank to tell. */
    declines: {
      expired: "The card has expired.",
      funds: "The bank reported that there wasn’t enough money available.",
      limit: "The bank reported that the card’s limit was reached.",
      details: "The bank didn’t recognize the card details.",
      authentication: "The bank wants you to confirm the payment.",
      temporary: "The bank reported a temporary problem. These often go away on their own.",
    },
    newCardDeclined: (method: string) =>
      `You have given us a new payment method since (${method}), and it was declined as well.`,
    notice: {
      status: (kind: Overdue): string => (kind === "invoice" ? "Invoice due" : "Payment failed"),
      subject: ({ kind, amount, product, app }: Owed) =>
        ({
          payment: `Your payment of ${amount} for ${product} didn’t go through`,
          invoice: `Your invoice of ${amount} for ${product} is due`,
          several: `Your payments to ${app} are overdue: ${amount}`,
        })[kind],
      title: (kind: Overdue) =>
        ({
          payment: "Your payment didn’t go through",
          invoice: "Your invoice is due",
          several: "Some of your payments are overdue",
        })[kind],
      preview: "This happens, and it usually takes a minute to put right.",
      body: ({ kind, amount, product, method }: Owed & { method: string | undefined }) =>
        ({
          payment: `We tried to collect ${amount} for ${product}${method === undefined ? "" : ` from your ${method}`}, and it didn’t work.`,
          invoice: `Your invoice of ${amount} for ${product} has reached its due date, and we haven’t seen a payment yet. If you have just paid, please ignore this email.`,
          several: `The payments below, ${amount} in all, didn’t go through or haven’t reached us yet.`,
        })[kind],
      deadline: (owed: Owed & { deadline: Deadline }) =>
        oneByOne(owed)
          ? `To keep ${subscription(owed)}, please pay each by the day that is given below. The first is ${owed.deadline.payBy}.`
          : `To keep ${subscription(owed)}, please pay by ${owed.deadline.payBy}${left(owed.deadline)}.`,
    },
    urgent: {
      status: "Reminder",
      subject: ({ kind, amount, product, app }: Owed) =>
        kind === "several"
          ? `Reminder: ${amount} to ${app} is still unpaid`
          : `Reminder: ${amount} for ${product} is still unpaid`,
      title: (amount: string) => `${amount} is still unpaid`,
      preview: ({ deadline, subscriptions }: Owed) =>
        deadline === undefined
          ? "Please take a moment to pay it."
          : `Please pay by ${deadline.payBy} to keep your subscription${subscriptions > 1 ? "s" : ""}.`,
      body: ({ kind, amount, product, method }: Owed & { method: string | undefined }) =>
        ({
          payment: `Your payment of ${amount} for ${product} is still due. ${method === undefined ? "We have not been able to collect it." : `Charging your ${method} hasn’t worked so far.`}`,
          invoice: `Your invoice of ${amount} for ${product} is past its due date and still unpaid.`,
          several: `The payments below, ${amount} in all, are still due.`,
        })[kind],
      deadline: (owed: Owed & { deadline: Deadline }) =>
        oneByOne(owed)
          ? `If they stay unpaid, ${subscription(owed)} ${owed.deadline.action === "pause" ? "will be paused" : "will end"}, each on the day that is given below. Please pay the first by ${owed.deadline.payBy}.`
          : owed.deadline.action === "pause"
            ? `If it stays unpaid, ${subscription(owed)} will be paused on ${owed.deadline.endsOn}. Please pay by ${owed.deadline.payBy}${left(owed.deadline)}.`
            : `If it stays unpaid, ${subscription(owed)} will end on ${owed.deadline.endsOn}. Please pay by ${owed.deadline.payBy}${left(owed.deadline)}.`,
      note: {
        card: "A new card, or a short call to the bank, usually solves this.",
        other: "Another payment method, or a short call to the bank, usually solves this.",
      },
    },
    final: {
      status: "Final notice",
      subject: (owed: Owed) => {
        const { kind, amount, product, app, deadline, subscriptions } = owed;
        const what = kind === "several" ? app : product;
        if (deadline === undefined) return `Final reminder: ${amount} for ${what} is unpaid`;
        const whose = oneByOne(owed)
          ? `The first of your ${app} subscriptions`
          : subscriptions > 1
            ? `Your ${app} subscriptions`
            : `Your ${product} subscription`;
        if (deadline.action === "pause") return `${whose} will be paused on ${deadline.endsOn}`;
        return `${whose} ${subscriptions > 1 && !oneByOne(owed) ? "end" : "ends"} on ${deadline.endsOn}`;
      },
      title: (owed: Owed) => {
        const { amount, deadline, subscriptions } = owed;
        if (deadline === undefined) return `Our final reminder: ${amount} is unpaid`;
        const whose = oneByOne(owed)
          ? "The first of your subscriptions"
          : `Your subscription${subscriptions > 1 ? "s" : ""}`;
        if (deadline.action === "pause") return `${whose} will be paused on ${deadline.endsOn}`;
        return `${whose} ${subscriptions > 1 && !oneByOne(owed) ? "end" : "ends"} on ${deadline.endsOn}`;
      },
      preview: ({ amount, deadline, subscriptions }: Owed) =>
        deadline === undefined
          ? `A payment of ${amount} is all it takes.`
          : `A payment of ${amount} by ${deadline.payBy} keeps ${subscriptions > 1 ? "them" : "it"} going.`,
      body: ({ kind, amount, product, method }: Owed & { method: string | undefined }) =>
        ({
          payment: `We still haven’t been able to collect ${amount} for ${product}${method === undefined ? "" : ` from your ${method}`}.`,
          invoice: `Your invoice of ${amount} for ${product} is still unpaid.`,
          several: `The payments below, ${amount} in all, are still due.`,
        })[kind],
      deadline: (owed: Owed & { deadline: Deadline }) => {
        const { subscriptions, deadline } = owed;
        const { payBy, endsOn, days: count, setToEndOn, action } = deadline;
        if (oneByOne(owed))
          return `Without a payment, ${subscription(owed)} ${action === "pause" ? "will be paused" : "will end"}, each on the day that is given below. To keep them, please pay the first by ${payBy}.`;
        const when = count === undefined ? endsOn : `${endsOn} (${inDays(count)})`;
        const it = subscriptions > 1 ? "them" : "it";
        const whose = subscription(owed);
        const before =
          setToEndOn === undefined
            ? ""
            : ` This comes before ${setToEndOn}, the day on which it was set to end.`;
        return action === "pause"
          ? `Without a payment, ${whose} will be paused on ${when}.${before} To keep using ${it}, please pay by ${payBy}.`
          : `Without a payment, we will cancel ${whose} on ${when}.${before} To keep ${it}, please pay by ${payBy}.`;
      },
      note: (address: string | undefined) =>
        `This is the last reminder we send about this. Is something wrong, or do you need more time? ${address === undefined ? "Just get in touch with us." : `Write to ${address}, and we’ll find a way.`}`,
    },
  },

  paymentActionRequired: {
    status: "Confirmation needed",
    subject: (amount: string, product: string) => `Please confirm your payment of ${amount} for ${product}`,
    title: "Your bank asks you to confirm a payment",
    preview: "The payment goes through as soon as you have confirmed it.",
    body: ({ amount, product, method }: { amount: string; product: string; method: string | undefined }) =>
      `Your bank wants to be sure that the payment of ${amount} for ${product}${method === undefined ? "" : ` with your ${method}`} comes from you. It goes through as soon as you have confirmed it.`,
    action: "Confirm payment",
    note: "You confirm on a secure page that leads to your bank. We never ask for your banking password.",
  },

  paymentRecovered: {
    status: "Payment received",
    subject: (amount: string, product: string) =>
      `Thank you, your payment of ${amount} for ${product} arrived`,
    title: "Your payment arrived",
    preview: {
      nothingLeft: "Everything is settled. There is nothing else to do.",
      paid: (amount: string) => `We received ${amount}. Thank you.`,
      more: "Thank you. Something else is still unpaid.",
    },
    body: (amount: string, product: string) =>
      `Thank you. Your payment of ${amount} for ${product} has arrived.`,
    nothingOverdue: "Nothing is overdue any more.",
    stillOwed: "Something else is still unpaid:",
    continues:
      "Your subscription continues as before, and you can ignore our earlier emails about this payment.",
    leaving: "You can ignore our earlier emails about this payment.",
  },

  subscriptionCanceled: {
    status: {
      requested: "Subscription canceled",
      at_period_end: "Subscription canceled",
      nonpayment: "Subscription ended",
      payment_failed: "Subscription ended",
      payment_disputed: "Subscription ended",
      term_ended: "Subscription ended",
    },
    subject: {
      requested: (product: string) => `Your ${product} subscription has been canceled`,
      at_period_end: (product: string, date: string) =>
        `Your ${product} subscription is canceled and ends on ${date}`,
      nonpayment: (product: string) => `Your ${product} subscription has ended, as it was not paid`,
      payment_failed: (product: string) => `Your ${product} subscription has ended, as it was not paid`,
      payment_disputed: (product: string) => `Your ${product} subscription has ended`,
      term_ended: (product: string) => `Your ${product} subscription has reached its agreed end`,
    },
    title: {
      requested: "Your subscription has been canceled",
      at_period_end: (date: string) => `Your subscription ends on ${date}`,
      nonpayment: "Your subscription has ended",
      payment_failed: "Your subscription has ended",
      payment_disputed: "Your subscription has ended",
      term_ended: "Your subscription has reached its end",
    },
    preview: {
      requested: "This is your confirmation. There is nothing else to do.",
      at_period_end: (date: string) => `You can use everything until ${date}.`,
      nonpayment: "You are welcome back at any time.",
      payment_failed: "You are welcome back at any time.",
      payment_disputed: "A payment for it was disputed at your bank.",
      term_ended: "It ran for the agreed term.",
    },
    body: {
      requested: (product: string, date: string) =>
        `This confirms that your ${product} subscription has been canceled. It ended on ${date} and won’t be renewed.`,
      at_period_end: (product: string, date: string) =>
        `This confirms that your ${product} subscription has been canceled. It stays active until ${date}, as paid for, and won’t be renewed after that.`,
      nonpayment: (product: string, date: string) =>
        `We reminded you, but no payment arrived for your ${product} subscription. It ended on ${date} and won’t be renewed.`,
      payment_failed: (product: string, date: string) =>
        `The payment for your ${product} subscription could not be collected. It ended on ${date} and won’t be renewed.`,
      payment_disputed: (product: string, date: string) =>
        `A payment for your ${product} subscription was disputed at your bank. The subscription ended on ${date} and won’t be renewed.`,
      term_ended: (product: string, date: string) =>
        `Your ${product} subscription was for a fixed term. It ended on ${date}, as agreed, and won’t be renewed.`,
    },
    /** at_period_end, where something is overdue. */
    bodyUnpaid: (product: string, date: string) =>
      `This confirms that your ${product} subscription has been canceled. It ends on ${date} and won’t be renewed.`,
    openInvoice: (amount: string) => `An invoice of ${amount} is still unpaid and can be paid online.`,
    unlessPaid: {
      cancel: (payBy: string, endsOn: string) =>
        `If it is not paid by ${payBy}, the subscription already ends on ${endsOn}.`,
      pause: (payBy: string, pausedOn: string) =>
        `If it is not paid by ${payBy}, the subscription is paused on ${pausedOn}.`,
    },
    note: {
      requested: "Thank you for being with us. You are welcome back at any time.",
      at_period_end:
        "Changed your mind? Until then you can keep your subscription with one click on your billing page.",
      nonpayment: "If you’d like to come back, you can subscribe again on your billing page at any time.",
      payment_failed: "If you’d like to come back, you can subscribe again on your billing page at any time.",
      payment_disputed: "Was this a mistake? Get in touch with us, or subscribe again on your billing page.",
      term_ended: "If you’d like to go on, you can subscribe again on your billing page at any time.",
    },
    action: {
      requested: "Subscribe again",
      at_period_end: "Keep my subscription",
      nonpayment: "Subscribe again",
      payment_failed: "Subscribe again",
      payment_disputed: "Subscribe again",
      term_ended: "Subscribe again",
    },
    payOpenInvoice: "Pay invoice",
  },

  subscriptionPaused: {
    status: "Subscription paused",
    subject: (product: string) => `Your ${product} subscription is paused`,
    title: "Your subscription is paused",
    preview: {
      open: {
        requested: "You decide when it continues.",
        nonpayment: "A payment for it did not arrive.",
        other: "Your billing page shows how it continues.",
      },
      unpaid: (amount: string) => `It continues once ${amount} is paid.`,
    },
    body: {
      requested: (product: string, date: string) =>
        `Your ${product} subscription has been paused since ${date}. While it is paused, you won’t be charged.`,
      nonpayment: (product: string, date: string) =>
        `Your ${product} subscription has been paused since ${date}, because a payment for it did not arrive.`,
      other: (product: string, date: string) => `Your ${product} subscription has been paused since ${date}.`,
    },
    /** nonpayment: what makes it go on. */
    unpaid: (amount: string, count: number) =>
      count === 1
        ? `Once the open invoice of ${amount} is paid, it continues by itself. That can take up to an hour.`
        : `Once the ${count} open invoices, ${amount} in all, are paid, it continues by itself. That can take up to an hour.`,
    note: {
      requested: "You can continue on your billing page at any time.",
      nonpayment: "Your billing page shows how it continues.",
      other: "Your billing page shows how it continues.",
    },
    action: {
      requested: "Manage subscription",
      nonpayment: "Manage subscription",
      other: "Manage subscription",
    },
  },

  subscriptionResumed: {
    status: "Subscription resumed",
    subject: (product: string) => `Your ${product} subscription is active again`,
    title: "Welcome back",
    preview: "Your subscription is active again.",
    body: (product: string, date: string) =>
      `Your ${product} subscription has been active again since ${date}. Everything is where you left it.`,
  },

  paymentReceipt: {
    status: "Receipt",
    subject: ({ app, amount, number }: { app: string; amount: string; number: string | undefined }) =>
      `Your receipt from ${app}: ${amount}${number === undefined ? "" : ` (${number})`}`,
    title: (app: string) => `Receipt from ${app}`,
    preview: (amount: string, date: string) => `We received ${amount} on ${date}. Thank you.`,
    paidOn: (date: string) => `Paid on ${date}`,
    thanks: "Thank you for your payment.",
    quantity: (description: string, quantity: string) => `${description} × ${quantity}`,
    moreLines: (count: string) => `And ${count} more on the invoice`,
    moreLinesUncounted: "And more on the invoice",
    /** A line that neither Stripe nor its product has a name for. */
    unnamed: "Other item",
    item: "Item",
    amount: "Amount",
    tax: "Tax",
    taxIncluded: (label: string) => `Includes ${label}`,
    parts: {
      subtotal: "Subtotal",
      discount: "Discount",
      billingCredits: "Usage credits",
      shipping: "Shipping",
      adjustment: "Other adjustments",
      total: "Total",
      creditNotes: "Credited before payment",
      carriedOver: "Carried over from earlier",
      carriedForward: "Carried over to the next invoice",
      creditUsed: "Credit used",
      creditAdded: "Added to your credit",
      paid: "Amount paid",
    },
  },

  refundIssued: {
    status: "Refund",
    subject: (amount: string, app: string) => `Your refund of ${amount} from ${app}`,
    title: (amount: string) => `We have refunded ${amount}`,
    preview: "It usually arrives within 5 to 10 business days.",
    body: {
      full: (amount: string, product: string) =>
        `We have refunded your payment of ${amount} for ${product} in full.`,
      partial: (amount: string, product: string, paid: string | undefined) =>
        `We have refunded ${amount} of your payment${paid === undefined ? "" : ` of ${paid}`} for ${product}.`,
    },
    timing: (method: string | undefined, mayBeCard: boolean) =>
      `The money goes back to ${method === undefined ? "the payment method you used" : `your ${method}`}. It usually arrives within 5 to 10 business days; how soon it shows depends on your bank.${mayBeCard ? " On a card it may appear as a reversal of the original payment instead of a new entry." : ""}`,
    viewReceipt: "View details",
  },

  refundFailed: {
    status: { failed: "Refund failed", canceled: "Refund canceled" },
    subject: {
      failed: (amount: string, app: string) => `Your refund of ${amount} from ${app} could not be paid out`,
      canceled: (amount: string, app: string) => `Your refund of ${amount} from ${app} has been canceled`,
    },
    title: {
      failed: (amount: string) => `Your refund of ${amount} didn’t reach you`,
      canceled: (amount: string) => `Your refund of ${amount} has been canceled`,
    },
    preview: {
      failed: "The money came back to us. We will find another way to send it to you.",
      canceled: "The refund we told you about will not be paid out.",
    },
    body: {
      failed: ({
        amount,
        product,
        date,
        method,
      }: {
        amount: string;
        product: string;
        date: string;
        method: string | undefined;
      }) =>
        `On ${date} we refunded ${amount} of your payment for ${product}${method === undefined ? "" : ` to your ${method}`}. The refund could not be paid out, and the money has come back to us.`,
      canceled: ({ amount, product, date }: { amount: string; product: string; date: string }) =>
        `The refund of ${amount} of your payment for ${product} from ${date} has been canceled and will not be paid out.`,
    },
    note: {
      failed: (address: string | undefined) =>
        `This happens when a card or an account has been closed. ${address === undefined ? "Please get in touch with us" : `Please write to ${address}`}, so that we can send the money to you another way.`,
      canceled: (address: string | undefined) =>
        `Does this come as a surprise? ${address === undefined ? "Just get in touch with us." : `Write to ${address}.`}`,
    },
  },

  cardExpiring: {
    status: "Card expiring",
    subject: ({ method, expires }: { method: string; label: string; expires: string }) =>
      `Your ${method} expires in ${expires}`,
    title: "Your card is about to expire",
    preview: "Add your new card now, and nothing is interrupted.",
    body: ({ method, expires, product }: { method: string; expires: string; product: string }) =>
      `The ${method} that pays for ${product} is valid until the end of ${expires}. If you already have a new card, please add it so that nothing is interrupted.`,
    nextPayment: (date: string) => `The next payment is due on ${date}.`,
    note: "Some banks send us the new details automatically. Then there is nothing you need to do.",
  },

  renewalAhead: {
    status: "Renewal ahead",
    subject: (product: string, date: string) => `Your ${product} subscription renews on ${date}`,
    title: (date: string) => `Your subscription renews on ${date}`,
    preview: {
      charged: (date: string, method: string) => `We’ll charge your ${method} on ${date}.`,
      invoiced: (date: string, _method: string) => `We’ll send you an invoice on ${date}.`,
      missing: (date: string, _method: string) => `Please add a payment method before ${date}.`,
    },
    body: {
      charged: ({ product, date, price, method }: Renewal) =>
        `${renews(product, date, price)} We’ll charge your ${method} then. There is nothing you need to do.`,
      invoiced: ({ product, date, price }: Renewal) =>
        `${renews(product, date, price)} We’ll send you an invoice then. There is nothing you need to do now.`,
      missing: ({ product, date, price }: Renewal) =>
        `${renews(product, date, price)} We don’t have a payment method for it, so please add one before then.`,
    },
    note: (date: string) =>
      `If you’d rather not renew, you can cancel on your billing page any time before ${date}. You won’t be charged again.`,
  },

  planChanged: {
    status: "Subscription changed",
    subject: {
      plan: (after: string) => `Your plan is now ${after}`,
      same: (product: string) => `Your ${product} subscription has changed`,
    },
    title: { plan: "Your plan has changed", same: "Your subscription has changed" },
    preview: (date: string) => `The change took effect on ${date}.`,
    body: {
      plan: (before: string, after: string, date: string) =>
        `Since ${date}, your plan is ${after} instead of ${before}.`,
      same: (product: string, date: string) => `Your ${product} subscription changed on ${date}.`,
    },
    price: (after: string, before: string | undefined) =>
      `It now costs ${after}${before === undefined ? "" : ` instead of ${before}`}.`,
    charged: (amount: string) => `For the change we charged ${amount}.`,
    nothingCharged: "Nothing was charged for the change.",
    noLongerEnds: (date: string) =>
      `Your cancellation has been undone with it: the subscription no longer ends on ${date}.`,
    note: "Didn’t ask for this? Please get in touch with us.",
  },

  paymentMethodRemoved: {
    status: "Payment method needed",
    subject: (product: string) => `Please add a payment method for ${product}`,
    title: "A payment method is missing",
    preview: (date: string) => `The next payment is due on ${date}.`,
    body: ({ product, date, method }: { product: string; date: string; method: string }) =>
      `Your ${method} has been removed, and there is no other way to pay for your ${product} subscription. The next payment is due on ${date}. Please add a payment method before then, so that nothing is interrupted.`,
    note: (date: string) =>
      `If you’d rather not continue, you can cancel on your billing page any time before ${date}.`,
  },

  disputeOpened: {
    status: { dispute: "Dispute", inquiry: "Inquiry" },
    subject: {
      dispute: (amount: string) => `A payment of ${amount} is disputed`,
      inquiry: (amount: string) => `A bank asks about a payment of ${amount}`,
    },
    title: {
      dispute: (amount: string) => `A payment of ${amount} is disputed`,
      inquiry: (amount: string) => `A bank asks about a payment of ${amount}`,
    },
    preview: {
      open: "Stripe shows what has come of it.",
      answerBy: (date: string) => `Stripe takes your answer until ${date}.`,
    },
    body: {
      dispute: (amount: string) => `A customer has disputed a payment of ${amount} at their bank.`,
      inquiry: (amount: string) =>
        `The bank of a customer asks about a payment of ${amount}. No money has been taken back so far.`,
    },
    reason: (reason: string) => `Reason: ${reason}.`,
    answerBy: {
      dispute: (date: string) => `Stripe takes evidence until ${date}. Without an answer, the money is lost.`,
      inquiry: (date: string) =>
        `Stripe takes your answer until ${date}. Without one, the inquiry can become a dispute.`,
    },
    /** Stripe's `reason` of a dispute. */
    reasons: {
      bank_cannot_process: "the bank cannot process the payment",
      check_returned: "a check was returned",
      credit_not_processed: "a credit was promised and not given",
      customer_initiated: "the customer asked the bank for the money",
      debit_not_authorized: "the debit was not authorized",
      duplicate: "it was charged twice",
      fraudulent: "the customer says that they did not make it",
      general: "no particular reason",
      incorrect_account_details: "the account details are wrong",
      insufficient_funds: "there was not enough money in the account",
      noncompliant: "a rule of the card network was not kept",
      product_not_received: "the customer says that nothing was delivered",
      product_unacceptable: "the customer says that it was not as described",
      subscription_canceled: "the customer says that the subscription was canceled",
      unrecognized: "the customer does not recognize it",
    },
    note: "Until it is decided, reminders of this customer’s unpaid invoices are on hold.",
    action: "Open in Stripe",
  },

  cancellationUndone: {
    status: "Subscription continues",
    subject: (product: string) => `Your ${product} subscription continues`,
    title: "Your subscription continues",
    preview: "Your cancellation has been undone.",
    body: (product: string, date: string) =>
      `This confirms that the cancellation of your ${product} subscription has been undone. It no longer ends on ${date} and will be renewed as before.`,
    note: "Didn’t ask for this? You can cancel again on your billing page at any time.",
  },
};

/** What a language has to bring. */
export type Language = typeof en;
