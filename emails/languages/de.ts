import type { Deadline, Language, Owed } from "./en.ts";

const days = (count: number) => (count === 1 ? "1 Tag" : `${count} Tage`);
const inDays = (count: number) => (count <= 0 ? "heute" : count === 1 ? "morgen" : `in ${count} Tagen`);
const left = ({ days: count }: Deadline) =>
  count === undefined || count < 2 ? "" : ` (noch ${days(count - 1)})`;
const oneByOne = ({ subscriptions, ownDates }: Owed) => subscriptions > 1 && ownDates;
const subscription = ({ subscriptions, product, app }: Owed) =>
  subscriptions > 1 ? `Ihre Abonnements bei ${app}` : `Ihr Abonnement „${product}“`;
const ends = ({ subscriptions }: Owed) => (subscriptions > 1 ? "enden" : "endet");
const pauses = ({ subscriptions }: Owed) => (subscriptions > 1 ? "pausieren" : "pausiert");
const by = (method: string | undefined) => (method === undefined ? "" : ` über ${method}`);
const renews = (product: string, date: string, price: string | undefined) =>
  `Ihr Abonnement „${product}“ verlängert sich am ${date} automatisch${price === undefined ? "" : `, zum Preis von ${price}`}.`;
const methods = { card: "Karte", bankAccount: "Bankkonto", other: "Zahlungsmethode" };
const yourMethods = { card: "Ihre Karte", bankAccount: "Ihr Bankkonto", other: "Ihre Zahlungsmethode" };
const per = { day: "pro Tag", week: "pro Woche", month: "pro Monat", year: "pro Jahr" };
const every = { day: "Tage", week: "Wochen", month: "Monate", year: "Jahre" };

/** Every sentence of every email in German, formally addressed. */
export const de: Language = {
  code: "de",
  direction: "ltr",

  common: {
    greeting: (name) => (name === undefined ? "Guten Tag," : `Guten Tag ${name},`),
    price: ({ amount, interval, count }) =>
      count === 1 ? `${amount} ${per[interval]}` : `${amount} alle ${count} ${every[interval]}`,
    plusTax: (price) => `${price}, zuzüglich Steuer`,
    method: ({ name, kind, last4 }) =>
      last4 === undefined
        ? (name ?? yourMethods[kind])
        : `${name ?? yourMethods[kind]} mit den Endziffern ${last4}`,
    methodLabel: ({ name, kind, last4 }) =>
      last4 === undefined ? (name ?? methods[kind]) : `${name ?? methods[kind]} ••••\u00a0${last4}`,
    invoiceNumber: (number) => `Rechnung ${number}`,
    taxId: (kind, value) => `${kind === "vat" ? "USt-IdNr." : "Steuernummer"} ${value}`,
    viewInvoice: "Rechnung ansehen",
    downloadPdf: "PDF herunterladen",
    manageBilling: "Abrechnung verwalten",
    addPaymentMethod: "Zahlungsmethode hinterlegen",
    updatePaymentMethod: "Zahlungsmethode ändern",
    orUpdatePaymentMethod: "Oder ändern Sie Ihre Zahlungsmethode für diese und künftige Zahlungen",
    labels: {
      plan: "Tarif",
      price: "Preis",
      amount: "Betrag",
      invoice: "Rechnung",
      paymentMethod: "Zahlungsmethode",
      card: "Karte",
      expires: "Gültig bis",
      overdueSince: "Offen seit",
      nextAttempt: "Nächste Abbuchung",
      payBy: "Bitte zahlen bis",
      billedTo: "Rechnung an",
      soldBy: "Ausgestellt von",
      paidOn: "Bezahlt am",
      trialEnds: "Endet am",
      trialEnded: "Endete am",
      endsOn: "Endet am",
      endedOn: "Beendet am",
      pausedOn: "Pausiert am",
      resumedOn: "Fortgesetzt am",
      nextPayment: "Nächste Zahlung",
      renewsOn: "Verlängert sich am",
      answerBy: "Antwort bis",
      dispute: "Anfechtung",
      originalPayment: "Zahlung",
      customer: "Kunde",
      planBefore: "Bisheriger Tarif",
      priceBefore: "Bisheriger Preis",
      planAfter: "Neuer Tarif",
      priceAfter: "Neuer Preis",
      changedOn: "Geändert am",
      charged: "Dafür berechnet",
      refundedOn: "Erstattet am",
      payment: "Ursprüngliche Zahlung",
    },
    footer: {
      reason: (app) => `Sie erhalten diese E-Mail, weil sie Ihr Konto bei ${app} betrifft.`,
      operator: (app) => `Sie erhalten diese E-Mail, weil Sie sich um die Abrechnung von ${app} kümmern.`,
      help: (address) => `Fragen? Schreiben Sie an ${address}.`,
    },
  },

  trialEnding: {
    status: "Testzeitraum endet",
    subject: ({ product, count, date, leaving }) =>
      `Ihr Testzeitraum für ${product} endet ${leaving ? `am ${date}` : inDays(count)}`,
    title: (count) => `Ihr Testzeitraum endet ${inDays(count)}`,
    preview: {
      charged: (date, method) => `Ihr Abonnement beginnt am ${date} und wird über ${method} bezahlt.`,
      free: (date) => `Ihr Abonnement beginnt am ${date}, und es wird nichts abgebucht.`,
      missing: (date) => `Hinterlegen Sie vor dem ${date} eine Zahlungsmethode, dann geht es nahtlos weiter.`,
      leaving: "Sie haben bereits gekündigt, es wird nichts abgebucht.",
    },
    body: {
      charged: ({ product, date, method }) =>
        `Wir hoffen, ${product} gefällt Ihnen. Ihr Testzeitraum endet am ${date}. Dann beginnt Ihr Abonnement, und wir buchen den Betrag über ${method} ab. Sie brauchen nichts zu tun.`,
      free: ({ product, date }) =>
        `Wir hoffen, ${product} gefällt Ihnen. Ihr Testzeitraum endet am ${date}, und dann beginnt Ihr Abonnement. Ihr Rabatt deckt den ganzen Betrag, es wird also nichts abgebucht.`,
      missing: ({ product, date }) =>
        `Wir hoffen, ${product} gefällt Ihnen. Ihr Testzeitraum endet am ${date}, und bei uns ist noch keine Zahlungsmethode hinterlegt. Wenn Sie vorher eine hinterlegen, geht Ihr Abonnement nahtlos weiter.`,
      leaving: ({ product, date }) =>
        `Ihr Testzeitraum für ${product} endet am ${date}. Da Sie gekündigt haben, wird er nicht verlängert und es wird nichts abgebucht.`,
    },
    note: {
      charged:
        "Möchten Sie nicht weitermachen? Dann kündigen Sie einfach vor diesem Tag, und es wird nichts abgebucht.",
      free: "Möchten Sie nicht weitermachen? Dann kündigen Sie einfach vor diesem Tag.",
      missing: "Möchten Sie nicht weitermachen, brauchen Sie nichts zu tun.",
      leaving:
        "Haben Sie es sich anders überlegt? Auf Ihrer Abrechnungsseite können Sie die Kündigung bis dahin zurücknehmen.",
    },
  },

  trialEnded: {
    status: "Testzeitraum beendet",
    subject: (product) => `Ihr Testzeitraum für ${product} ist zu Ende`,
    title: "Ihr Testzeitraum ist zu Ende",
    preview: "Es wurde nichts abgebucht. Mit einer Zahlungsmethode können Sie weitermachen.",
    body: {
      canceled: ({ product, date }) =>
        `Ihr Testzeitraum für ${product} endete am ${date}. Da keine Zahlungsmethode hinterlegt war, haben wir das Abonnement beendet. Es wurde nichts abgebucht.`,
      paused: ({ product, date }) =>
        `Ihr Testzeitraum für ${product} endete am ${date}. Da keine Zahlungsmethode hinterlegt war, pausiert Ihr Abonnement. Es wurde nichts abgebucht.`,
    },
    note: {
      canceled:
        "Wenn Sie weitermachen möchten, können Sie auf Ihrer Abrechnungsseite jederzeit ein Abonnement abschließen.",
      paused:
        "Wenn Sie weitermachen möchten, hinterlegen Sie auf Ihrer Abrechnungsseite eine Zahlungsmethode.",
    },
    action: { canceled: "Abonnement abschließen", paused: "Zahlungsmethode hinterlegen" },
  },

  paymentFailed: {
    pay: (amount) => `${amount} bezahlen`,
    review: "Ansehen und bezahlen",
    several: "Was noch offen ist",
    total: "Summe",
    since: (date) => `offen seit ${date}`,
    moreInvoices: (count) => `Und ${count} weitere`,
    leaving: "Ihr Abonnement ist bereits gekündigt, und dabei bleibt es. Hier geht es um die Zeit davor.",
    continues: "Bis dahin läuft alles wie gewohnt weiter.",
    unlessPaid: ({ payBy, endsOn, action, setToEndOn }) =>
      `${action === "pause" ? "pausiert" : "endet"} am ${endsOn}${setToEndOn === undefined ? "" : ` statt am ${setToEndOn}`}, wenn nicht bis zum ${payBy} bezahlt ist`,
    endsAnyway: "das Abonnement dazu ist bereits gekündigt",
    nextAttempt: (date) =>
      `Am ${date} versuchen wir die Abbuchung noch einmal. Sie brauchen aber nicht darauf zu warten.`,
    declines: {
      expired: "Die Karte ist abgelaufen.",
      funds: "Laut Bank war das Konto nicht ausreichend gedeckt.",
      limit: "Laut Bank war das Limit der Karte erreicht.",
      details: "Die Bank hat die Kartendaten nicht erkannt.",
      authentication: "Die Bank möchte, dass Sie die Zahlung bestätigen.",
      temporary: "Die Bank hat eine vorübergehende Störung gemeldet, die sich oft von selbst erledigt.",
    },
    newCardDeclined: (method) =>
      `Sie haben uns inzwischen eine neue Zahlungsmethode gegeben (${method}). Auch damit wurde die Zahlung abgelehnt.`,
    notice: {
      status: (kind) => (kind === "invoice" ? "Rechnung fällig" : "Zahlung fehlgeschlagen"),
      subject: ({ kind, amount, product, app }) =>
        ({
          payment: `Ihre Zahlung von ${amount} für ${product} ist fehlgeschlagen`,
          invoice: `Ihre Rechnung über ${amount} für ${product} ist fällig`,
          several: `Offene Zahlungen an ${app}: ${amount}`,
        })[kind],
      title: (kind) =>
        ({
          payment: "Ihre Zahlung ist fehlgeschlagen",
          invoice: "Ihre Rechnung ist fällig",
          several: "Einige Zahlungen sind offen",
        })[kind],
      preview: "Das kommt vor und ist meist in einer Minute erledigt.",
      body: ({ kind, amount, product, method }) =>
        ({
          payment: `Wir wollten ${amount} für ${product}${by(method)} abbuchen. Das hat leider nicht geklappt.`,
          invoice: `Die Rechnung über ${amount} für ${product} ist fällig, und wir haben noch keinen Zahlungseingang gesehen. Falls Sie gerade bezahlt haben, betrachten Sie diese Nachricht bitte als erledigt.`,
          several: `Die folgenden Zahlungen, zusammen ${amount}, sind fehlgeschlagen oder noch nicht bei uns eingegangen.`,
        })[kind],
      deadline: (owed) =>
        oneByOne(owed)
          ? `Damit ${subscription(owed)} weiterlaufen, bezahlen Sie bitte alles bis zu dem Tag, der unten dabeisteht. Der erste ist der ${owed.deadline.payBy}.`
          : `Damit ${subscription(owed)} ${owed.subscriptions > 1 ? "weiterlaufen" : "weiterläuft"}, bezahlen Sie bitte bis zum ${owed.deadline.payBy}${left(owed.deadline)}.`,
    },
    urgent: {
      status: "Erinnerung",
      subject: ({ kind, amount, product, app }) =>
        `Erinnerung: ${amount} ${kind === "several" ? `an ${app}` : `für ${product}`} noch nicht bezahlt`,
      title: (amount) => `${amount} sind noch offen`,
      preview: ({ deadline, subscriptions }) =>
        deadline === undefined
          ? "Bitte nehmen Sie sich einen Moment Zeit dafür."
          : `Bitte bezahlen Sie bis zum ${deadline.payBy}, damit ${subscriptions > 1 ? "Ihre Abonnements weiterlaufen" : "Ihr Abonnement weiterläuft"}.`,
      body: ({ kind, amount, product, method }) =>
        ({
          payment: `Die Zahlung von ${amount} für ${product} ist noch offen. ${method === undefined ? "Wir konnten sie bisher nicht einziehen." : `Die Abbuchung über ${method} hat bisher nicht geklappt.`}`,
          invoice: `Die Rechnung über ${amount} für ${product} ist überfällig und noch offen.`,
          several: `Die folgenden Zahlungen, zusammen ${amount}, sind noch offen.`,
        })[kind],
      deadline: (owed) =>
        oneByOne(owed)
          ? `Ohne Zahlung ${ends(owed)} ${subscription(owed)}, jedes an dem Tag, der unten dabeisteht. Bitte bezahlen Sie das erste bis zum ${owed.deadline.payBy}.`
          : `Ohne Zahlung ${owed.deadline.action === "pause" ? pauses(owed) : ends(owed)} ${subscription(owed)} am ${owed.deadline.endsOn}. Bitte bezahlen Sie bis zum ${owed.deadline.payBy}${left(owed.deadline)}.`,
      note: {
        card: "Meistens hilft eine neue Karte oder ein kurzer Anruf bei der Bank.",
        other: "Meistens hilft eine andere Zahlungsmethode oder ein kurzer Anruf bei der Bank.",
      },
    },
    final: {
      status: "Letzte Erinnerung",
      subject: (owed) =>
        owed.deadline === undefined
          ? `Letzte Erinnerung: ${owed.amount} ${owed.kind === "several" ? `an ${owed.app}` : `für ${owed.product}`} noch offen`
          : oneByOne(owed)
            ? `Das erste Ihrer Abonnements bei ${owed.app} ${owed.deadline.action === "pause" ? "pausiert" : "endet"} am ${owed.deadline.endsOn}`
            : `${subscription(owed)} ${owed.deadline.action === "pause" ? pauses(owed) : ends(owed)} am ${owed.deadline.endsOn}`,
      title: (owed) => {
        if (owed.deadline === undefined) return `Letzte Erinnerung: ${owed.amount} sind offen`;
        if (oneByOne(owed))
          return `Das erste Ihrer Abonnements ${owed.deadline.action === "pause" ? "pausiert" : "endet"} am ${owed.deadline.endsOn}`;
        const whose = owed.subscriptions > 1 ? "Ihre Abonnements" : "Ihr Abonnement";
        return `${whose} ${owed.deadline.action === "pause" ? pauses(owed) : ends(owed)} am ${owed.deadline.endsOn}`;
      },
      preview: ({ amount, deadline, subscriptions }) =>
        deadline === undefined
          ? `Mit einer Zahlung von ${amount} ist alles erledigt.`
          : `Mit einer Zahlung von ${amount} bis zum ${deadline.payBy} ${subscriptions > 1 ? "laufen sie" : "läuft es"} weiter.`,
      body: ({ kind, amount, product, method }) =>
        ({
          payment: `Wir konnten ${amount} für ${product} bisher nicht${by(method)} abbuchen.`,
          invoice: `Die Rechnung über ${amount} für ${product} ist noch offen.`,
          several: `Die folgenden Zahlungen, zusammen ${amount}, sind noch offen.`,
        })[kind],
      deadline: (owed) => {
        const { subscriptions, deadline } = owed;
        const { payBy, endsOn, days: count, setToEndOn, action } = deadline;
        if (oneByOne(owed))
          return `Ohne Zahlung ${action === "pause" ? pauses(owed) : ends(owed)} ${subscription(owed)}, jedes an dem Tag, der unten dabeisteht. Wenn Sie sie behalten möchten, bezahlen Sie bitte das erste bis zum ${payBy}.`;
        const when = count === undefined ? `am ${endsOn}` : `am ${endsOn} (${inDays(count)})`;
        const it = subscriptions > 1 ? "sie" : "es";
        const whose = subscription(owed);
        const before =
          setToEndOn === undefined ? "" : ` Das ist vor dem ${setToEndOn}, für den das Ende vorgesehen war.`;
        return action === "pause"
          ? `Ohne Zahlung ${pauses(owed)} ${whose} ${when}.${before} Wenn Sie ${it} weiter nutzen möchten, bezahlen Sie bitte bis zum ${payBy}.`
          : `Ohne Zahlung beenden wir ${whose} ${when}.${before} Wenn Sie ${it} behalten möchten, bezahlen Sie bitte bis zum ${payBy}.`;
      },
      note: (address) =>
        `Dies ist unsere letzte Erinnerung dazu. Stimmt etwas nicht, oder brauchen Sie mehr Zeit? ${address === undefined ? "Dann melden Sie sich bitte bei uns." : `Schreiben Sie an ${address}, wir finden eine Lösung.`}`,
    },
  },

  paymentActionRequired: {
    status: "Bestätigung nötig",
    subject: (amount, product) => `Bitte bestätigen Sie Ihre Zahlung von ${amount} für ${product}`,
    title: "Ihre Bank bittet um eine Bestätigung",
    preview: "Sobald Sie bestätigt haben, wird die Zahlung ausgeführt.",
    body: ({ amount, product, method }) =>
      `Ihre Bank möchte sichergehen, dass die Zahlung von ${amount} für ${product}${by(method)} von Ihnen kommt. Sobald Sie das bestätigt haben, wird sie ausgeführt.`,
    action: "Zahlung bestätigen",
    note: "Die Bestätigung erfolgt auf einer sicheren Seite, die Sie zu Ihrer Bank führt. Nach Ihrem Banking-Passwort fragen wir nie.",
  },

  paymentRecovered: {
    status: "Zahlung eingegangen",
    subject: (amount, product) => `Danke, Ihre Zahlung von ${amount} für ${product} ist da`,
    title: "Ihre Zahlung ist da",
    preview: {
      nothingLeft: "Damit ist alles erledigt. Sie brauchen nichts weiter zu tun.",
      paid: (amount) => `Wir haben ${amount} erhalten. Vielen Dank.`,
      more: "Vielen Dank. Etwas anderes ist noch offen.",
    },
    body: (amount, product) => `Vielen Dank. Ihre Zahlung von ${amount} für ${product} ist eingegangen.`,
    nothingOverdue: "Es ist nichts mehr überfällig.",
    stillOwed: "Etwas anderes ist noch offen:",
    continues:
      "Ihr Abonnement läuft weiter wie bisher. Unsere früheren Nachrichten zu dieser Zahlung haben sich erledigt.",
    leaving: "Unsere früheren Nachrichten zu dieser Zahlung haben sich erledigt.",
  },

  subscriptionCanceled: {
    status: {
      requested: "Abonnement gekündigt",
      at_period_end: "Abonnement gekündigt",
      nonpayment: "Abonnement beendet",
      payment_failed: "Abonnement beendet",
      payment_disputed: "Abonnement beendet",
      term_ended: "Abonnement beendet",
    },
    subject: {
      requested: (product) => `Ihr Abonnement „${product}“ ist gekündigt`,
      at_period_end: (product, date) => `Ihr Abonnement „${product}“ ist gekündigt und endet am ${date}`,
      nonpayment: (product) => `Ihr Abonnement „${product}“ wurde mangels Zahlung beendet`,
      payment_failed: (product) => `Ihr Abonnement „${product}“ wurde mangels Zahlung beendet`,
      payment_disputed: (product) => `Ihr Abonnement „${product}“ ist beendet`,
      term_ended: (product) => `Ihr Abonnement „${product}“ ist wie vereinbart ausgelaufen`,
    },
    title: {
      requested: "Ihr Abonnement ist gekündigt",
      at_period_end: (date) => `Ihr Abonnement endet am ${date}`,
      nonpayment: "Ihr Abonnement ist beendet",
      payment_failed: "Ihr Abonnement ist beendet",
      payment_disputed: "Ihr Abonnement ist beendet",
      term_ended: "Ihr Abonnement ist ausgelaufen",
    },
    preview: {
      requested: "Das ist Ihre Bestätigung. Sie brauchen nichts weiter zu tun.",
      at_period_end: (date) => `Bis zum ${date} können Sie alles weiter nutzen.`,
      nonpayment: "Sie können jederzeit zurückkommen.",
      payment_failed: "Sie können jederzeit zurückkommen.",
      payment_disputed: "Eine Zahlung dafür wurde bei Ihrer Bank angefochten.",
      term_ended: "Es lief so lange, wie es vereinbart war.",
    },
    body: {
      requested: (product, date) =>
        `Wir bestätigen die Kündigung Ihres Abonnements „${product}“. Es endete am ${date} und wird nicht verlängert.`,
      at_period_end: (product, date) =>
        `Wir bestätigen die Kündigung Ihres Abonnements „${product}“. Es bleibt bis zum ${date} aktiv, so wie es bezahlt ist, und verlängert sich danach nicht.`,
      nonpayment: (product, date) =>
        `Wir haben Sie erinnert, aber für Ihr Abonnement „${product}“ ist keine Zahlung eingegangen. Es endete deshalb am ${date} und wird nicht verlängert.`,
      payment_failed: (product, date) =>
        `Die Zahlung für Ihr Abonnement „${product}“ konnte nicht eingezogen werden. Es endete am ${date} und wird nicht verlängert.`,
      payment_disputed: (product, date) =>
        `Eine Zahlung für Ihr Abonnement „${product}“ wurde bei Ihrer Bank angefochten. Das Abonnement endete am ${date} und wird nicht verlängert.`,
      term_ended: (product, date) =>
        `Ihr Abonnement „${product}“ war für eine feste Zeit abgeschlossen. Es endete wie vereinbart am ${date} und wird nicht verlängert.`,
    },
    bodyUnpaid: (product, date) =>
      `Wir bestätigen die Kündigung Ihres Abonnements „${product}“. Es endet am ${date} und verlängert sich nicht.`,
    openInvoice: (amount) => `Eine Rechnung über ${amount} ist noch offen und kann online bezahlt werden.`,
    unlessPaid: {
      cancel: (payBy, endsOn) =>
        `Wird sie nicht bis zum ${payBy} bezahlt, endet das Abonnement bereits am ${endsOn}.`,
      pause: (payBy, pausedOn) =>
        `Wird sie nicht bis zum ${payBy} bezahlt, wird das Abonnement am ${pausedOn} pausiert.`,
    },
    note: {
      requested: "Danke, dass Sie bei uns waren. Sie können jederzeit zurückkommen.",
      at_period_end:
        "Haben Sie es sich anders überlegt? Bis dahin können Sie Ihr Abonnement auf Ihrer Abrechnungsseite mit einem Klick behalten.",
      nonpayment:
        "Wenn Sie zurückkommen möchten, können Sie auf Ihrer Abrechnungsseite jederzeit neu abonnieren.",
      payment_failed:
        "Wenn Sie zurückkommen möchten, können Sie auf Ihrer Abrechnungsseite jederzeit neu abonnieren.",
      payment_disputed:
        "War das ein Versehen? Melden Sie sich bei uns, oder abonnieren Sie auf Ihrer Abrechnungsseite neu.",
      term_ended:
        "Wenn Sie weitermachen möchten, können Sie auf Ihrer Abrechnungsseite jederzeit neu abonnieren.",
    },
    action: {
      requested: "Neu abonnieren",
      at_period_end: "Abonnement behalten",
      nonpayment: "Neu abonnieren",
      payment_failed: "Neu abonnieren",
      payment_disputed: "Neu abonnieren",
      term_ended: "Neu abonnieren",
    },
    payOpenInvoice: "Offene Rechnung bezahlen",
  },

  subscriptionPaused: {
    status: "Abonnement pausiert",
    subject: (product) => `Ihr Abonnement „${product}“ pausiert`,
    title: "Ihr Abonnement pausiert",
    preview: {
      open: {
        requested: "Wann es weitergeht, bestimmen Sie.",
        nonpayment: "Eine Zahlung dafür ist nicht eingegangen.",
        other: "Wie es weitergeht, steht auf Ihrer Abrechnungsseite.",
      },
      unpaid: (amount) => `Es läuft weiter, sobald ${amount} bezahlt sind.`,
    },
    body: {
      requested: (product, date) =>
        `Ihr Abonnement „${product}“ pausiert seit dem ${date}. In dieser Zeit wird nichts abgebucht.`,
      nonpayment: (product, date) =>
        `Ihr Abonnement „${product}“ pausiert seit dem ${date}, weil eine Zahlung dafür nicht eingegangen ist.`,
      other: (product, date) => `Ihr Abonnement „${product}“ pausiert seit dem ${date}.`,
    },
    unpaid: (amount, count) =>
      count === 1
        ? `Sobald die offene Rechnung über ${amount} bezahlt ist, läuft es von selbst weiter. Das kann bis zu einer Stunde dauern.`
        : `Sobald die ${count} offenen Rechnungen über zusammen ${amount} bezahlt sind, läuft es von selbst weiter. Das kann bis zu einer Stunde dauern.`,
    note: {
      requested: "Auf Ihrer Abrechnungsseite können Sie es jederzeit fortsetzen.",
      nonpayment: "Wie es weitergeht, steht auf Ihrer Abrechnungsseite.",
      other: "Wie es weitergeht, steht auf Ihrer Abrechnungsseite.",
    },
    action: {
      requested: "Abonnement verwalten",
      nonpayment: "Abonnement verwalten",
      other: "Abonnement verwalten",
    },
  },

  subscriptionResumed: {
    status: "Abonnement fortgesetzt",
    subject: (product) => `Ihr Abonnement „${product}“ ist wieder aktiv`,
    title: "Willkommen zurück",
    preview: "Ihr Abonnement ist wieder aktiv.",
    body: (product, date) =>
      `Ihr Abonnement „${product}“ ist seit dem ${date} wieder aktiv. Alles ist noch da, wo Sie es verlassen haben.`,
  },

  paymentReceipt: {
    status: "Zahlungsbeleg",
    subject: ({ app, amount, number }) =>
      `Ihr Zahlungsbeleg von ${app}: ${amount}${number === undefined ? "" : ` (${number})`}`,
    title: (app) => `Zahlungsbeleg von ${app}`,
    preview: (amount, date) => `Wir haben am ${date} ${amount} erhalten. Vielen Dank.`,
    paidOn: (date) => `Bezahlt am ${date}`,
    thanks: "Vielen Dank für Ihre Zahlung.",
    quantity: (description, quantity) => `${description} × ${quantity}`,
    moreLines: (count) => `Und ${count} weitere auf der Rechnung`,
    moreLinesUncounted: "Und weitere auf der Rechnung",
    /** A line that neither Stripe nor its product has a name for. */
    unnamed: "Weitere Position",
    item: "Position",
    amount: "Betrag",
    tax: "Steuer",
    taxIncluded: (label) => `Enthält ${label}`,
    parts: {
      subtotal: "Zwischensumme",
      discount: "Rabatt",
      billingCredits: "Nutzungsguthaben",
      shipping: "Versand",
      adjustment: "Sonstige Anpassungen",
      total: "Gesamt",
      creditNotes: "Vorab gutgeschrieben",
      carriedOver: "Übertrag aus früheren Rechnungen",
      carriedForward: "Übertrag auf die nächste Rechnung",
      creditUsed: "Verrechnetes Guthaben",
      creditAdded: "Ihrem Guthaben hinzugefügt",
      paid: "Bezahlter Betrag",
    },
  },

  refundIssued: {
    status: "Erstattung",
    subject: (amount, app) => `Ihre Erstattung von ${app} über ${amount}`,
    title: (amount) => `Wir haben Ihnen ${amount} erstattet`,
    preview: "Das Geld ist meist innerhalb von 5 bis 10 Werktagen da.",
    body: {
      full: (amount, product) => `Wir haben Ihre Zahlung von ${amount} für ${product} vollständig erstattet.`,
      partial: (amount, product, paid) =>
        `Wir haben ${amount} Ihrer Zahlung${paid === undefined ? "" : ` von ${paid}`} für ${product} erstattet.`,
    },
    timing: (method, mayBeCard) =>
      `Das Geld geht ${method === undefined ? "auf dem Weg zurück, auf dem Sie bezahlt haben" : `über ${method} an Sie zurück`}. Es ist meist innerhalb von 5 bis 10 Werktagen da; wann Sie es sehen, hängt von Ihrer Bank ab.${mayBeCard ? " Bei Karten kann statt einer neuen Buchung auch die ursprüngliche Zahlung verschwinden." : ""}`,
    viewReceipt: "Einzelheiten ansehen",
  },

  refundFailed: {
    status: { failed: "Erstattung fehlgeschlagen", canceled: "Erstattung abgebrochen" },
    subject: {
      failed: (amount, app) => `Ihre Erstattung von ${app} über ${amount} konnte nicht ausgezahlt werden`,
      canceled: (amount, app) => `Ihre Erstattung von ${app} über ${amount} wurde abgebrochen`,
    },
    title: {
      failed: (amount) => `Ihre Erstattung über ${amount} ist nicht angekommen`,
      canceled: (amount) => `Ihre Erstattung über ${amount} wurde abgebrochen`,
    },
    preview: {
      failed: "Das Geld ist wieder bei uns. Wir finden einen anderen Weg zu Ihnen.",
      canceled: "Die angekündigte Erstattung wird nicht ausgezahlt.",
    },
    body: {
      failed: ({ amount, product, date, method }) =>
        `Am ${date} haben wir Ihnen ${amount} Ihrer Zahlung für ${product}${by(method)} erstattet. Die Erstattung konnte nicht ausgezahlt werden, und das Geld ist wieder bei uns.`,
      canceled: ({ amount, product, date }) =>
        `Die Erstattung vom ${date} über ${amount} Ihrer Zahlung für ${product} wurde abgebrochen und wird nicht ausgezahlt.`,
    },
    note: {
      failed: (address) =>
        `Das kommt vor, wenn eine Karte oder ein Konto nicht mehr besteht. Bitte ${address === undefined ? "melden Sie sich bei uns" : `schreiben Sie an ${address}`}, damit wir Ihnen das Geld auf einem anderen Weg schicken können.`,
      canceled: (address) =>
        `Kommt das für Sie überraschend? ${address === undefined ? "Dann melden Sie sich bitte bei uns." : `Schreiben Sie bitte an ${address}.`}`,
    },
  },

  cardExpiring: {
    status: "Karte läuft ab",
    subject: ({ label, expires }) => `Ihre Karte läuft im ${expires} ab: ${label}`,
    title: "Ihre Karte läuft bald ab",
    preview: "Hinterlegen Sie die neue Karte, dann geht es ohne Unterbrechung weiter.",
    body: ({ method, expires, product }) =>
      `Sie bezahlen ${product} über ${method}. Diese Karte gilt nur noch bis Ende ${expires}. Wenn Sie schon eine neue haben, hinterlegen Sie sie bitte, damit nichts unterbrochen wird.`,
    nextPayment: (date) => `Die nächste Zahlung steht am ${date} an.`,
    note: "Manche Banken geben uns die neuen Kartendaten von selbst weiter. Dann brauchen Sie nichts zu tun.",
  },

  renewalAhead: {
    status: "Verlängerung steht an",
    subject: (product, date) => `Ihr Abonnement „${product}“ verlängert sich am ${date}`,
    title: (date) => `Ihr Abonnement verlängert sich am ${date}`,
    preview: {
      charged: (date, method) => `Am ${date} buchen wir den Betrag über ${method} ab.`,
      invoiced: (date) => `Am ${date} schicken wir Ihnen eine Rechnung.`,
      missing: (date) => `Bitte hinterlegen Sie vor dem ${date} eine Zahlungsmethode.`,
    },
    body: {
      charged: ({ product, date, price, method }) =>
        `${renews(product, date, price)} Dann buchen wir den Betrag über ${method} ab. Sie brauchen nichts zu tun.`,
      invoiced: ({ product, date, price }) =>
        `${renews(product, date, price)} Dann schicken wir Ihnen eine Rechnung. Jetzt brauchen Sie nichts zu tun.`,
      missing: ({ product, date, price }) =>
        `${renews(product, date, price)} Dafür ist bei uns keine Zahlungsmethode hinterlegt. Bitte hinterlegen Sie vorher eine.`,
    },
    note: (date) =>
      `Möchten Sie nicht verlängern? Dann kündigen Sie einfach vor dem ${date} auf Ihrer Abrechnungsseite, und es wird nichts mehr abgebucht.`,
  },

  planChanged: {
    status: "Abonnement geändert",
    subject: {
      plan: (after) => `Ihr Tarif ist jetzt ${after}`,
      same: (product) => `Ihr Abonnement „${product}“ hat sich geändert`,
    },
    title: { plan: "Ihr Tarif hat sich geändert", same: "Ihr Abonnement hat sich geändert" },
    preview: (date) => `Die Änderung gilt seit dem ${date}.`,
    body: {
      plan: (before, after, date) => `Seit dem ${date} haben Sie den Tarif ${after} statt ${before}.`,
      same: (product, date) => `Ihr Abonnement „${product}“ hat sich am ${date} geändert.`,
    },
    price: (after, before) =>
      `Das Abonnement kostet jetzt ${after}${before === undefined ? "" : ` statt ${before}`}.`,
    charged: (amount) => `Für die Änderung haben wir ${amount} abgebucht.`,
    nothingCharged: "Für die Änderung wurde nichts abgebucht.",
    noLongerEnds: (date) =>
      `Damit ist auch Ihre Kündigung zurückgenommen: Das Abonnement endet nicht mehr am ${date}.`,
    note: "Haben Sie das nicht veranlasst? Dann melden Sie sich bitte bei uns.",
  },

  paymentMethodRemoved: {
    status: "Zahlungsmethode fehlt",
    subject: (product) => `Bitte hinterlegen Sie eine Zahlungsmethode für ${product}`,
    title: "Es fehlt eine Zahlungsmethode",
    preview: (date) => `Die nächste Zahlung steht am ${date} an.`,
    body: ({ product, date, method }) =>
      `${method} wurde entfernt, und eine andere Zahlungsmethode ist für Ihr Abonnement „${product}“ nicht hinterlegt. Die nächste Zahlung steht am ${date} an. Bitte hinterlegen Sie vorher eine Zahlungsmethode, damit nichts unterbrochen wird.`,
    note: (date) =>
      `Möchten Sie nicht weitermachen? Dann kündigen Sie einfach vor dem ${date} auf Ihrer Abrechnungsseite.`,
  },

  disputeOpened: {
    status: { dispute: "Anfechtung", inquiry: "Anfrage" },
    subject: {
      dispute: (amount) => `Eine Zahlung von ${amount} wird angefochten`,
      inquiry: (amount) => `Eine Bank fragt nach einer Zahlung von ${amount}`,
    },
    title: {
      dispute: (amount) => `Eine Zahlung von ${amount} wird angefochten`,
      inquiry: (amount) => `Eine Bank fragt nach einer Zahlung von ${amount}`,
    },
    preview: {
      open: "Was daraus geworden ist, zeigt Stripe.",
      answerBy: (date) => `Bis zum ${date} nimmt Stripe Ihre Antwort an.`,
    },
    body: {
      dispute: (amount) => `Ein Kunde hat bei seiner Bank eine Zahlung von ${amount} angefochten.`,
      inquiry: (amount) =>
        `Die Bank eines Kunden fragt nach einer Zahlung von ${amount}. Bisher wurde kein Geld zurückgebucht.`,
    },
    reason: (reason) => `Grund: ${reason}.`,
    answerBy: {
      dispute: (date) => `Bis zum ${date} nimmt Stripe Belege an. Ohne Antwort ist das Geld verloren.`,
      inquiry: (date) =>
        `Bis zum ${date} nimmt Stripe Ihre Antwort an. Ohne sie kann aus der Anfrage eine Anfechtung werden.`,
    },
    reasons: {
      bank_cannot_process: "Die Bank kann die Zahlung nicht verarbeiten",
      check_returned: "Ein Scheck kam zurück",
      credit_not_processed: "Eine zugesagte Gutschrift blieb aus",
      customer_initiated: "Der Kunde hat das Geld bei der Bank zurückverlangt",
      debit_not_authorized: "Die Lastschrift war nicht genehmigt",
      duplicate: "Es wurde doppelt abgebucht",
      fraudulent: "Der Kunde sagt, dass die Zahlung nicht von ihm ist",
      general: "kein bestimmter Grund",
      incorrect_account_details: "Die Kontodaten stimmen nicht",
      insufficient_funds: "Das Konto war nicht gedeckt",
      noncompliant: "Eine Regel des Kartennetzes wurde nicht eingehalten",
      product_not_received: "Der Kunde sagt, dass nichts geliefert wurde",
      product_unacceptable: "Der Kunde sagt, dass es nicht der Beschreibung entsprach",
      subscription_canceled: "Der Kunde sagt, dass das Abonnement gekündigt war",
      unrecognized: "Der Kunde erkennt die Zahlung nicht wieder",
    },
    note: "Bis zur Entscheidung ruhen die Erinnerungen an offene Rechnungen dieses Kunden.",
    action: "In Stripe öffnen",
  },

  cancellationUndone: {
    status: "Abonnement läuft weiter",
    subject: (product) => `Ihr Abonnement „${product}“ läuft weiter`,
    title: "Ihr Abonnement läuft weiter",
    preview: "Die Kündigung ist zurückgenommen.",
    body: (product, date) =>
      `Wir bestätigen, dass die Kündigung Ihres Abonnements „${product}“ zurückgenommen ist. Es endet nicht mehr am ${date} und verlängert sich wie bisher.`,
    note: "Haben Sie das nicht veranlasst? Auf Ihrer Abrechnungsseite können Sie jederzeit wieder kündigen.",
  },
};
